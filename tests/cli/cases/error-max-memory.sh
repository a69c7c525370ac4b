# Weights, then activations; sizes that are none.
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --max-memory 1K || echo "exit code $?"
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --max-memory 0.05M || echo "exit code $?"
gradcam inspect "$FIXTURES/model.onnx" --max-memory 1K | grep -c "problem .*limit is 1.0 KiB"
for size in 0 -1 1X 1GB nan G 1e30; do
    gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --max-memory=$size || echo "exit code $?"
done
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --max-memory 64M
ls
