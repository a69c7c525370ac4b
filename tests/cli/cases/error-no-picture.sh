gradcam explain "$FIXTURES/model.onnx" missing.png || code=$?
ls
exit ${code:-0}
