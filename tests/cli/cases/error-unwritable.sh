# The folder is a file, and the file a folder.
touch maps
mkdir out.png
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" -o maps/ || echo "exit code $?"
gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" --heatmap=out.png || echo "exit code $?"
ls
