cp "$FIXTURES/picture.png" "$FIXTURES/green.jpg" "$FIXTURES/model.onnx" .
cp picture.png picture.gradcam.png
mkdir empty
try() {
    gradcam explain model.onnx "$@" && exit 1
    echo "exit code $?" >&2
}
try picture.png green.jpg -o out.png
try picture.png --class 0 --class 1 -o out.png
try picture.png green.jpg --heatmap=out.png
try picture.png -o out.gif
try picture.png -o out
try picture.png -o out.png --heatmap=out.png
try picture.png -o picture.png
try green.jpg -o ./green.jpg
try picture.png --npy=model.onnx
try picture.gradcam.png picture.png -q
try empty
try picture.png -o missing/out.png -q
ls
cmp picture.png "$FIXTURES/picture.png"
cmp model.onnx "$FIXTURES/model.onnx"
