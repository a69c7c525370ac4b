# A map that shows nothing is said plainly and is no failure.
gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --class nothing
gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --class never
