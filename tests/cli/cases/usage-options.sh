# Each of these is refused before the model is looked at, with exit code 2.
try() {
    gradcam "$@" && exit 1
    test $? = 2
}
try explain m.onnx a.png --colourmap jet
try explain m.onnx a.png --out b.png
try explain m.onnx a.png -x
try explain m.onnx a.png -o
try explain m.onnx a.png --quiet=yes
try explain m.onnx a.png --colormap jett
try explain m.onnx a.png --preset imagenet
try explain m.onnx a.png --alpha 1.5
try explain m.onnx a.png --alpha nan
try explain m.onnx a.png --quality 101
try explain m.onnx a.png --npy-kind cooked
try explain m.onnx a.png --size 0
try explain m.onnx a.png --size 32x
try explain m.onnx a.png --resize sideways
try explain m.onnx a.png --mean 0.5,0.5,0.5,0.5,0.5
try explain m.onnx a.png --mean 0.5,,0.5
try explain m.onnx a.png --std 0.2,0,0.2
try explain m.onnx a.png --class ''
try explain m.onnx a.png --json=
try classify m.onnx a.png --top 0
try classify m.onnx a.png --layer 3
