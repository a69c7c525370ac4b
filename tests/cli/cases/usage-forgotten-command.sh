gradcam "$FIXTURES/model.onnx" cat.jpg
