# Refused, each with the way out; nothing is left behind.
try() {
    want=$1
    shift
    gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" "$@" && exit 1
    test $? = "$want"
}
try 2 --method gradkam
try 2 --method gradcam:fast
try 2 --method scorecam:channels=x
try 2 --method eigencam --counterfactual
try 2 --method scorecam --smooth sideways
try 2 --fuse sum
try 2 --scale tall
try 2 --sigma x
try 2 --target diff:red
try 2 --target 'boxes[0]'
try 7 --target red@own
try 7 --at 3,4
try 9 --target blue
ls
