gradcam explain -q "$FIXTURES/model.onnx" --input-npy missing.npy || code=$?
ls
exit ${code:-0}
