# As a disk that is full: no picture, and nothing that was begun.
ulimit -f 1
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" -o out.png || echo "exit code $?"
ls -A
