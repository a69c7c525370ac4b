gradcam explain "$FIXTURES/picture.png" "$FIXTURES/picture.png" || code=$?
ls
exit ${code:-0}
