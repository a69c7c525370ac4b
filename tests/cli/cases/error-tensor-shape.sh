gradcam explain -q "$FIXTURES/model.onnx" --input-npy "$FIXTURES/wrongshape.npy" || code=$?
ls
exit ${code:-0}
