gradcam explain "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --labels missing.txt || code=$?
ls
exit ${code:-0}
