gradcam explain "$FIXTURES/side.onnx" "$FIXTURES/picture.png" --layer side_conv || code=$?
ls
exit ${code:-0}
