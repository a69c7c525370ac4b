gradcam explain "$FIXTURES/nolabels.onnx" "$FIXTURES/picture.png" --class 4 || code=$?
ls
exit ${code:-0}
