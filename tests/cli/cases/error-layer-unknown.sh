gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --layer layer4 || code=$?
ls
exit ${code:-0}
