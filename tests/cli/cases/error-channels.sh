gradcam explain -q "$FIXTURES/channels5.onnx" "$FIXTURES/picture.png" || code=$?
ls
exit ${code:-0}
