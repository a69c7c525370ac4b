gradcam explain "$FIXTURES/nan.onnx" "$FIXTURES/picture.png" || code=$?
ls
exit ${code:-0}
