gradcam classify -q "$FIXTURES/log.onnx" "$FIXTURES/picture.png" || echo "exit code $?"
gradcam explain -q "$FIXTURES/log.onnx" "$FIXTURES/picture.png" --class 1 || echo "exit code $?"
ls
