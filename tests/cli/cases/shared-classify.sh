# needs: shared
# Real photographs, a real network.
for picture in cat parrot hot_dog grace_hopper dragonfly; do
    gradcam classify "$GRADCAM_SHARED/models/mobilenetv2-imagenet.onnx" --preset tf --top 1 --json \
        "$GRADCAM_SHARED/images/$picture.jpg" --labels "$GRADCAM_SHARED/labels/imagenet.txt" |
        check_json.py classify
done
