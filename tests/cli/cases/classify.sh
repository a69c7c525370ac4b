gradcam classify "$FIXTURES/model.onnx" "$FIXTURES/picture.png" "$FIXTURES/green.jpg" --top 2
gradcam classify "$FIXTURES/model.onnx" "$FIXTURES/green.jpg" --json | sed "s|$FIXTURES|F|g" |
    check_json.py classify
gradcam classify "$FIXTURES/model.onnx" --input-npy "$FIXTURES/tensor3.npy" --json |
    sed "s|$FIXTURES|F|g" | check_json.py classify
ls
