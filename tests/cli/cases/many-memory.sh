# Where memory suffices for one explainer and not for one a worker, pictures are explained one at a
# time: with a limit that one just gets along with.
mkdir in
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cp "$FIXTURES/green.jpg" in/$i.jpg; done
explain() {
    gradcam explain -q "$FIXTURES/model.onnx" in "$@"
}
limit=100
while ! explain --threads 1 --max-memory ${limit}K -o alone/ 2> /dev/null; do limit=$((limit + 8)); done
explain --threads 3 --max-memory ${limit}K -o together/
diff -r alone together
explain --threads 1 --max-memory $((limit - 8))K -o maps/ 2> alone.txt || echo "exit code $?"
explain --threads 3 --max-memory $((limit - 8))K -o maps/ 2> together.txt || echo "exit code $?"
diff alone.txt together.txt
ls together | wc -l
