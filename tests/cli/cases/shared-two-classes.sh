# needs: shared
# The dog is in the upper left of the picture (224 x 224), the cat on the right: their maps peak there.
gradcam explain "$GRADCAM_SHARED/models/mobilenetv2-imagenet.onnx" --preset tf --json \
    "$GRADCAM_SHARED/images/both.png" --class 244 --class 283 > out.json
look.py --thirds 224 224 < out.json
ls
