gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --layer flatten || code=$?
ls
exit ${code:-0}
