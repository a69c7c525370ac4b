// SPDX-License-Identifier: Apache-2.0
// ONNX Runtime's side of bench/compare.py: the forward pass alone.
//   node onnxruntime.js MODEL INPUT.f32 LOGITS.f32 THREADS
// Each line of standard input, "RUNS" or "BATCH RUNS", is answered by a line of RUNS times in ms. A batch
// repeats the input, and needs a model whose number of pictures is free.
const fs = require("fs");
const readline = require("readline");
const ort = require("onnxruntime-node");

async function main([model, input, output, threads]) {
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: Number(threads), interOpNumThreads: 1,
    executionMode: "sequential", graphOptimizationLevel: "all",
  });
  const bytes = fs.readFileSync(input);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const side = Math.sqrt(values.length / 3);
  const repeat = (batch) => {
    const all = new Float32Array(batch * values.length);
    for (let i = 0; i < batch; i++) all.set(values, i * values.length);
    return { [session.inputNames[0]]: new ort.Tensor("float32", all, [batch, 3, side, side]) };
  };
  let feeds = repeat(1);
  const logits = (await session.run(feeds))[session.outputNames[0]].data;
  fs.writeFileSync(output, Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength));
  console.log("ready");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const times = [], words = line.split(" ").map(Number);
    if (words.length > 1) feeds = repeat(words[0]);
    for (let i = 0; i < words[words.length - 1]; i++) {
      const start = process.hrtime.bigint();
      await session.run(feeds);
      times.push(Number(process.hrtime.bigint() - start) / 1e6);
    }
    console.log(times.join(" "));
  }
}

main(process.argv.slice(2));
