mkdir photos
cp "$FIXTURES/picture.png" photos/
gradcam explain "$FIXTURES/model.onnx" photos/picture.png
ls
look.py picture.gradcam.png
