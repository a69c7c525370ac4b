gradcam classify "$FIXTURES/model.onnx" "$FIXTURES/picture.png" "$FIXTURES/green.jpg" --top 2
gradcam classify "$FIXTURES/model.onnx" "$FIXTURES/green.jpg" --json | check_json.py classify
gradcam classify "$FIXTURES/model.onnx" --input-npy "$FIXTURES/tensor3.npy" --json | check_json.py classify
ls
