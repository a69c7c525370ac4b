# Failures among many are told in the order of pictures, whatever was ready first; the others are
# explained; a picture that is refused for its size does not stop the workers.
mkdir in maps maps/p15.gradcam.png
for i in 10 11 12 13 14 15 16 17 18 19 20 21; do cp "$FIXTURES/green.jpg" in/p$i.jpg; done
echo no picture > in/p13.jpg
cp "$FIXTURES/huge.png" in/p17.png
rm in/p17.jpg
for threads in 1 3; do
    gradcam explain "$FIXTURES/model.onnx" in missing.jpg -o maps/ --threads $threads > text$threads 2> errors$threads ||
        echo "exit code $?"
done
diff text1 text3
diff errors1 errors3
cut -c 1-60 errors3
ls maps
# What nobody reads is not written: standard output is the first to fail.
gradcam explain "$FIXTURES/model.onnx" in/p1[0-2].jpg in/p1[89].jpg in/p2*.jpg in/p16.jpg -o maps/ --threads 2 > /dev/full || echo "exit code $?"
