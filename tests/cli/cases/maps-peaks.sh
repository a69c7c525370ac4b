# The weights are known, so is the place: red stands on the left, green on the right.
gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --class red --class lime \
    --class never --class nothing --json 2> notes | look.py --thirds 60 40
cat notes
