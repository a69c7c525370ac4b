gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --class 0 --class lime --class 1 --npy
ls
gradcam explain -q "$FIXTURES/nolabels.onnx" "$FIXTURES/picture.png" --class 0 --class 1 -o bare/
ls bare
