gradcam exlpain model.onnx cat.jpg
