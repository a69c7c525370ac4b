gradcam explain missing.onnx "$FIXTURES/picture.png" || code=$?
ls
exit ${code:-0}
