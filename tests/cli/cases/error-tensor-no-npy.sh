gradcam explain -q "$FIXTURES/model.onnx" --input-npy "$FIXTURES/picture.png" || code=$?
ls
exit ${code:-0}
