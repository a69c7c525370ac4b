# A picture that fails has no line; without any line there is no file.
echo no picture > bad.png
try() {
    gradcam explain "$FIXTURES/model.onnx" "$@" && exit 1
    echo "exit code $?"
}
try bad.png "$FIXTURES/green.jpg" --json > out
tail -n 1 out
head -n 1 out | check_json.py explain
try bad.png --json=none.json
ls
