gradcam explain --verbose --top 2 "$FIXTURES/model.onnx" "$FIXTURES/picture.png" "$FIXTURES/green.jpg"
