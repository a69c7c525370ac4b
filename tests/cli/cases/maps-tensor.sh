# A ready tensor, with and without a picture to show the map on.
gradcam explain "$FIXTURES/model.onnx" --input-npy "$FIXTURES/tensor3.npy"
gradcam explain -q "$FIXTURES/model.onnx" --input-npy "$FIXTURES/tensor3.npy" "$FIXTURES/picture.png"
gradcam explain -q "$FIXTURES/channels5.onnx" --input-npy "$FIXTURES/tensor5.npy"
look.py *.png
