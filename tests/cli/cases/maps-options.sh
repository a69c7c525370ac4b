run() {
    gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" "$@"
}
run --layer conv1 -o layer.png
run --layer 0 --alpha 0.8 --colormap viridis -o colours.png
run --resize letterbox -o letterbox.png
run --resize 40 --crop 48x32 -o crop.png
run --preset tf --threads 1 -o tf.png
run --mean 0.5 --std 0.5 --after-activation -o values.png
run --labels "$FIXTURES/labels.txt" --class rot -o labels.png
run -o quality.jpg --quality 10
look.py *.png *.jpg
cmp layer.png tf.png > /dev/null || echo different
