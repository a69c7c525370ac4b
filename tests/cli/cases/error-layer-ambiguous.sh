gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --layer conv || code=$?
ls
exit ${code:-0}
