run() {
    gradcam explain "$FIXTURES/model.onnx" "$@"
}
run "$FIXTURES/picture.png" --json > one.json
run "$FIXTURES/picture.png" "$FIXTURES/green.jpg" --class 0 --class 1 --heatmap --npy --top 2 \
    --json=- > several.json
run "$FIXTURES/picture.png" "$FIXTURES/green.jpg" --json=file.json -q
for file in one.json several.json file.json; do
    wc -l < $file
    check_json.py explain < $file
done
gradcam explain "$FIXTURES/nolabels.onnx" "$FIXTURES/picture.png" --json | check_json.py explain
