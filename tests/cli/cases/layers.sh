gradcam layers "$FIXTURES/model.onnx"
gradcam layers "$FIXTURES/model.onnx" --layer relu1
gradcam layers "$FIXTURES/model.onnx" --json | check_json.py layers
