# Several workers (--threads 3) write what one writes: files, report and JSON, in the order of
# pictures; equal names get their numbers in that order; and so with a scale shared by all.
mkdir a b
for i in 10 11 12 13 14 15 16 17; do
    cp "$FIXTURES/picture.png" a/$i.png
    cp "$FIXTURES/green.jpg" b/$i.jpg
done
for threads in 1 3; do
    gradcam explain "$FIXTURES/model.onnx" a b --heatmap --npy --json=lines.json --threads $threads -o maps/ > text$threads
    gradcam explain -q "$FIXTURES/model.onnx" a b --scale shared --threads $threads -o shared/
    sed -E 's/"timings_ms": *\{[^}]*\}//g' lines.json > json$threads
    mv maps maps$threads
    mv shared shared$threads
done
diff -r maps1 maps3
diff -r shared1 shared3
diff text1 text3
cmp json1 json3
ls maps3 | wc -l
ls shared3 | head -n 4
sed 's/^.*-> //' text3 | tail -n 9
