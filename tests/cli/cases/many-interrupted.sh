# Killed among many pictures: the files that are there are whole, those of the first pictures, and
# nothing else is.
mkdir in
for i in $(seq 1000 1400); do cp "$FIXTURES/green.jpg" in/$i.jpg; done
gradcam explain -q "$FIXTURES/model.onnx" in --threads 3 -o maps/ --method rise:samples=8 &
while [ ! -e maps/1005.gradcam.png ]; do sleep 0.02; done
kill -TERM $!
wait $! || echo "exit code $?"
# Where files cannot be without a name, one that was being written may be left.
python3 -c 'import os; os.open(".", os.O_TMPFILE | os.O_WRONLY)' 2> tried || rm -f maps/.gradcam-*
ls -A maps > there
ls in | sed 's/jpg$/gradcam.png/' | head -n $(wc -l < there) | diff - there
[ $(wc -l < there) -lt 401 ] && echo "not all"
gradcam explain -q "$FIXTURES/model.onnx" in/1000.jpg --method rise:samples=8
for map in maps/*; do cmp $map 1000.gradcam.png; done
