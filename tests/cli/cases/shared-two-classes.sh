# needs: shared
# The dog stands on the left of the picture, the cat on the right: their maps peak there.
gradcam explain "$GRADCAM_SHARED/models/mobilenetv2-imagenet.onnx" --preset tf --json \
    "$GRADCAM_SHARED/images/both.png" --class 244 --class 283 > out.json
grep -o '"peak":{[^}]*}' out.json
ls
