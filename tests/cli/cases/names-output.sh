run() {
    gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" "$@"
}
run -o a.png --heatmap --npy
run -o b.jpg --heatmap=c.webp --npy=d.npy
run -o new/folder/
mkdir there
run -o there --heatmap
look.py *.* new/folder/* there/*
