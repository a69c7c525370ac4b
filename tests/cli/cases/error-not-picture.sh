gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/labels.txt" || code=$?
ls
exit ${code:-0}
