gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --class lemon || code=$?
ls
exit ${code:-0}
