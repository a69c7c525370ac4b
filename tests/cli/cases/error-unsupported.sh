gradcam explain "$FIXTURES/unsupported.onnx" "$FIXTURES/picture.png" || code=$?
ls
exit ${code:-0}
