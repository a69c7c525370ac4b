# The others are explained; the exit code is that of the first failure.
echo no picture > bad.png
gradcam explain "$FIXTURES/model.onnx" bad.png "$FIXTURES/green.jpg" missing.jpg -o maps/ || code=$?
ls maps
exit $code
