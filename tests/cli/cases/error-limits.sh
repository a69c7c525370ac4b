# One above each limit, then at the limits.
explain() { gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --labels "$FIXTURES/labels.txt" "$@"; }
explain --max-pixels 2399 || echo "exit code $?"
explain --max-picture 167 || echo "exit code $?"
explain --max-model 1621 || echo "exit code $?"
explain --max-text 20 || echo "exit code $?"
explain --input-npy "$FIXTURES/tensor3.npy" --max-array 18559 || echo "exit code $?"
explain --max-nodes 7 || echo "exit code $?"
gradcam inspect "$FIXTURES/model.onnx" --max-nodes 2 | grep problem
gradcam inspect "$FIXTURES/model.onnx" --max-model 1K || echo "exit code $?"
for option in --max-pixels=0 --max-pixels=-1 --max-nodes=1e3 --max-nodes=100000001 --max-depth=257 --max-picture=x; do
    explain $option || echo "exit code $?"
done
explain --max-pixels 2400 --max-picture 168 --max-model 1622 --max-text 21 --max-array 1 --max-nodes 8 --max-depth 1
ls
