# Several methods, targets and layers: a map each, named by what tells them apart.
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --method gradcam --method saliency \
    --layer relu1 --layer relu2 --target 0 --target diff:red,lime --npy -o out/
ls out
# Fused, there is one.
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --layer 'relu*' --fuse product \
    --method layercam -o fused.png
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --signed --smooth augment -o signed.png
# On one scale the stronger map alone reaches 1.
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --target red --target diff:red,lime \
    --scale shared --npy-kind normalised -o scaled/
python3 - <<'END'
import array, glob
for name in sorted(glob.glob("scaled/*.npy")):
    data = open(name, "rb").read()
    values = array.array("f", data[10 + int.from_bytes(data[8:10], "little"):])
    print(name, f"{min(values):.2f} {max(values):.2f}")
END
look.py fused.png signed.png
