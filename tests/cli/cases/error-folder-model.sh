gradcam explain "$FIXTURES" "$FIXTURES/picture.png" || code=$?
ls
exit ${code:-0}
