# Every file, byte by byte (JSON without its times), is the same in another process; so is that of a
# picture whatever the order of pictures, methods and classes.
explain() {
    gradcam explain -q "$FIXTURES/model.onnx" --heatmap --npy "$@"
}
kinds() {
    for kind in png jpg webp; do
        gradcam explain -q "$FIXTURES/model.onnx" "$FIXTURES/picture.png" -o "$1.$kind"
    done
}
without_times() {
    sed -E 's/"timings_ms": *\{[^}]*\}//g' "$1"
}
for turn in 1 2; do
    kinds turn$turn
    explain "$FIXTURES/picture.png" "$FIXTURES/green.jpg" --class 0 --class 1 --method layercam \
        --method rise:samples=20 --json=all.json -o maps/
    without_times all.json > turn$turn.json
    mv maps turn$turn
done
diff -r turn1 turn2
for kind in png jpg webp json; do
    cmp turn1.$kind turn2.$kind
done
grep -c probability turn1.json
explain "$FIXTURES/green.jpg" "$FIXTURES/picture.png" --class 1 --class 0 --method rise:samples=20 \
    --method layercam -o turned/
diff -r turn1 turned
ls turned | wc -l
