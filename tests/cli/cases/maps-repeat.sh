# The same twice is the same, bit for bit; so is a picture alone and among others.
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --npy
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/green.jpg" "$FIXTURES/picture.png" --npy -o many/
cmp picture.npy many/picture.npy
cmp picture.gradcam.png many/picture.gradcam.png
