# Every length of the file is either refused or, beyond the last node, a whole model.
size=$(wc -c < "$FIXTURES/model.onnx")
for part in 0 1 10 100 500 1000 1300; do
    head -c $part "$FIXTURES/model.onnx" > part.onnx
    gradcam explain part.onnx "$FIXTURES/picture.png" && exit 1
    echo "$part of $size bytes: exit code $?"
done
rm part.onnx
ls
