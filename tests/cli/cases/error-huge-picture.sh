gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/huge.png" || code=$?
ls
exit ${code:-0}
