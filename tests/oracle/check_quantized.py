#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The quantised MobileNetV2 of ../shared (skipped with a message where that is absent).

 - In the QDQ format: on every picture the map of the float network's class correlates with the map
   of the float network (at least 0.95), and both networks agree on the class, where the float one is
   not in doubt.
 - Run by PyTorch with straight-through gradients: the same class, logits and map.
 - Rewritten in the QOperator format (QLinearConv, QLinearAdd, ...): the same logits and map.

  check_quantized.py GRADCAM SHARED
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import torch
from onnx import helper
from PIL import Image

from onnx_torch import Network

LEAST_CORRELATION = 0.95
# Logits of the two formats, and of PyTorch, differ where a value lies in the middle between two
# steps; the last layer's step is 0.1.
LOGIT_TOLERANCE = 0.7
# Below this lead of the first class over the second, quantisation may well change their order.
CLEAR_LEAD = 2.0

results = {"passed": 0, "failed": 0}


def report(good, text):
    results["passed" if good else "failed"] += 1
    print(f"{'ok  ' if good else 'FAIL'} {text}", flush=True)


def explain(gradcam, model, picture, folder, index=None):
    chosen = [] if index is None else ["--class", str(index)]
    done = subprocess.run([gradcam, "explain", model, picture, "--preset", "tf", "--json", *chosen,
                           "-o", folder + "/map.png", f"--npy={folder}/map.npy"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout), np.load(folder + "/map.npy")


def correlation(a, b):
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


# ---- The QOperator format ------------------------------------------------------------------------


class Rewriter:
    """QuantizeLinear(op(DequantizeLinear(...))) becomes one operator on quantised tensors."""

    def __init__(self, model):
        self.model = model
        self.made_by = {o: n for n in model.graph.node for o in n.output}
        self.nodes = []

    def source(self, value):
        """Quantised tensor, scale and zero point behind a dequantised value."""
        node = self.made_by[value]
        assert node.op_type == "DequantizeLinear", node.op_type
        return list(node.input)

    def quantize(self, node):
        producer = self.made_by.get(node.input[0])
        if producer is not None and producer.op_type == "Clip":
            # the bounds are those of the quantised range
            producer = self.made_by[producer.input[0]]
        op = producer.op_type if producer is not None else ""
        end, out = list(node.input[1:]), list(node.output)
        operands = [self.source(v) for v in producer.input] if op in (
            "Conv", "Add", "GlobalAveragePool", "Gemm") else []
        bias = operands[2][0] if len(operands) > 2 else None
        if op == "Conv":
            inputs = operands[0] + operands[1] + end + ([bias] if bias else [])
            self.add("QLinearConv", inputs, out, "", producer)
        elif op == "Add":
            self.add("QLinearAdd", operands[0] + operands[1] + end, out, "com.microsoft")
        elif op == "GlobalAveragePool":
            self.add("QLinearGlobalAveragePool", operands[0] + end, out, "com.microsoft")
            self.nodes[-1].attribute.append(helper.make_attribute("channels_last", 0))
        elif op == "Gemm":
            self.add("QGemm", operands[0] + operands[1] + [bias or ""] + end, out, "com.microsoft",
                     producer)
        else:
            self.nodes.append(node)

    def add(self, op, inputs, outputs, domain, attributes_of=None):
        node = helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain)
        if attributes_of is not None:
            node.attribute.extend(a for a in attributes_of.attribute if a.name != "beta")
        self.nodes.append(node)

    def run(self):
        for node in self.model.graph.node:
            if node.op_type == "QuantizeLinear":
                self.quantize(node)
            elif node.op_type not in ("Conv", "Add", "GlobalAveragePool", "Gemm", "Clip"):
                self.nodes.append(node)
        del self.model.graph.node[:]
        self.model.graph.node.extend(self.nodes)
        self.model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        return self.model


# ---- Checks --------------------------------------------------------------------------------------


def check_pictures(gradcam, shared, folder):
    models = os.path.join(shared, "models")
    plain, quantised = (os.path.join(models, f"mobilenetv2-imagenet{s}.onnx") for s in ("", "-qdq"))
    pictures = os.path.join(shared, "images")
    for name in sorted(os.listdir(pictures)):
        if not name.endswith((".jpg", ".png")):
            continue
        picture = os.path.join(pictures, name)
        row, expected = explain(gradcam, plain, picture, folder)
        first, second = row["predictions"][:2]
        lead = first["logit"] - second["logit"]
        found_row, found = explain(gradcam, quantised, picture, folder, first["index"])
        same = found_row["predictions"][0]["index"] == first["index"]
        r = correlation(found, expected)
        report(r >= LEAST_CORRELATION and (same or lead < CLEAR_LEAD),
               f"{name}: correlation {r:.4f}, {'the same' if same else 'another'} class, "
               f"lead {lead:.2f}")


def check_operators(gradcam, shared, folder):
    path = os.path.join(shared, "models", "mobilenetv2-imagenet-qdq.onnx")
    rewritten = Rewriter(onnx.load(path)).run()
    kinds = {n.op_type for n in rewritten.graph.node}
    wanted = {"QLinearConv", "QLinearAdd", "QLinearGlobalAveragePool", "QGemm"}
    report(wanted <= kinds and "Conv" not in kinds, "every layer is one operator")
    other = os.path.join(folder, "qoperator.onnx")
    onnx.save(rewritten, other)
    for name in ("cat.jpg", "parrot.jpg"):
        picture = os.path.join(shared, "images", name)
        row, expected = explain(gradcam, path, picture, folder)
        first = row["predictions"][0]
        found_row, found = explain(gradcam, other, picture, folder, first["index"])
        d = abs(found_row["predictions"][0]["logit"] - first["logit"])
        r = correlation(found, expected)
        report(d <= LOGIT_TOLERANCE and r >= 0.999 and
               found_row["predictions"][0]["index"] == first["index"],
               f"QOperator, {name}: logit {d:.2e}, correlation {r:.6f}")


def check_torch(gradcam, shared, folder):
    path = os.path.join(shared, "models", "mobilenetv2-imagenet-qdq.onnx")
    network = Network(path)
    pool = [n for n in network.graph.node if n.op_type == "GlobalAveragePool"][0]
    for name in ("cat.jpg", "parrot.jpg"):
        picture = os.path.join(shared, "images", name)
        row, _ = explain(gradcam, path, picture, folder)
        first = row["predictions"][0]
        explain(gradcam, path, picture, folder, first["index"])
        image = Image.open(picture).convert("RGB").resize((224, 224), Image.BILINEAR)
        x = torch.tensor(np.asarray(image, np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        values = network.run(x, pool.input[0])
        logits, layer = values[network.output], values[pool.input[0]]
        gradient, = torch.autograd.grad(logits[0, first["index"]], layer)
        weights = gradient.mean((2, 3), keepdim=True)
        raw = torch.relu((weights * layer).sum(1)).detach().numpy()[0]
        ours = np.load(folder + "/map.npy")
        shown = np.asarray(Image.fromarray(raw).resize(ours.shape[::-1], Image.BILINEAR))
        d = abs(float(logits[0, first["index"]]) - first["logit"])
        r = correlation(shown, ours)
        report(d <= LOGIT_TOLERANCE and int(logits.argmax()) == first["index"] and r >= 0.99,
               f"PyTorch, {name}: logit {d:.2e}, correlation {r:.5f}")


def main():
    gradcam, shared = sys.argv[1:3]
    if not os.path.isdir(os.path.join(shared, "models")):
        print(f"skipped: {shared} is not there")
        return 77
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        check_torch(gradcam, shared, folder)
        check_operators(gradcam, shared, folder)
        check_pictures(gradcam, shared, folder)
    print(f"{results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
