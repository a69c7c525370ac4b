gradcam explain "$FIXTURES/root.onnx" "$FIXTURES/picture.png" --class 3 --npy --json > one.json || code=$?
check_json.py explain < one.json
gradcam explain "$FIXTURES/root.onnx" "$FIXTURES/picture.png" --class 0 --class 3 -q && exit 1
ls
exit ${code:-0}
