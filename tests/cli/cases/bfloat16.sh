# Refused where it cannot be had, whatever CPU this is, and beside what contradicts it.
explain() { gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" "$@"; }
ONEDNN_MAX_CPU_ISA=SSE41 explain --bfloat16 || echo "exit code $?"
explain --bfloat16 --strict || echo "exit code $?"
explain --bfloat16=yes || echo "exit code $?"
ls
