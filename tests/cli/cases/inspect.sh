gradcam inspect "$FIXTURES/model.onnx"
gradcam inspect "$FIXTURES/unsupported.onnx"
gradcam inspect "$FIXTURES/model.onnx" --json
