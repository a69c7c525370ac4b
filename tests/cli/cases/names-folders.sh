# A folder stands for its pictures, sorted; equal names get numbers; outputs are no inputs.
mkdir a b
cp "$FIXTURES/picture.png" a/x.png
cp "$FIXTURES/green.jpg" a/w.jpg
cp "$FIXTURES/green.jpg" b/x.jpg
cp "$FIXTURES/green.jpg" b/x-2.jpg
echo text > a/notes.txt
gradcam explain "$FIXTURES/model.onnx" a b -o maps
ls maps
cp maps/* a/
gradcam explain -q "$FIXTURES/model.onnx" a -o again
ls again
