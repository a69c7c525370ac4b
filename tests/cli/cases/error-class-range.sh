gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --class 4 || code=$?
ls
exit ${code:-0}
