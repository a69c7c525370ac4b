for kind in raw normalised picture; do
    gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --npy=$kind.npy --npy-kind $kind
done
look.py *.npy
