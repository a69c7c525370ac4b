try() {
    gradcam "$@" && exit 1
    test $? = 2
}
try explain
try explain m.onnx
try explain m.onnx ''
try layers
try layers a.onnx b.onnx
try classify m.onnx
try explain m.onnx a.png b.png --input-npy t.npy
