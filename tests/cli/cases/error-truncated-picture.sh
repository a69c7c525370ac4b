head -c 600 "$FIXTURES/green.jpg" > part.jpg
head -c 100 "$FIXTURES/picture.png" > part.png
for file in part.jpg part.png; do
    gradcam explain -q "$FIXTURES/model.onnx" $file && exit 1
    echo "exit code $?"
done
ls
