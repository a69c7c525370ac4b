#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Convolutions in bfloat16 (skipped with a message where the CPU has no instructions for it).

 - Small networks: logits, activations and gradients equal those of PyTorch with the operands of its
   convolutions rounded, and differ from those without rounding.
 - Real networks and photographs from ../shared (skipped with a message where absent): the same
   class, and maps like those in float32. The differences are printed; docs/reproducibility.md tells
   them.

  check_bfloat16.py GRADCAM PLAN_TOOL SHARED
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper
from pytorch import torch

import onnx_torch
from onnx_builder import Constants

# Root of mean squares, beside that of what is expected. A value in the middle between two bfloat16 may
# be rounded either way, and one beside 0 may be on the other side of a Relu's kink.
TOLERANCES = {"logits": 1e-5, "gradient": 3e-3, "activation": 3e-4}
# What rounding changes at least, or nothing was rounded.
LEAST_CHANGES = {"logits": 3e-4, "gradient": 2e-2, "activation": 2e-3}
# Of maps in [0,1], between bfloat16 and float32.
MOST_DIFFERENCE, LEAST_CORRELATION = 0.03, 0.95

results = {"passed": 0, "failed": 0}


def report(good, text):
    results["passed" if good else "failed"] += 1
    print(f"{'ok  ' if good else 'FAIL'} {text}", flush=True)


# ---- Small networks ------------------------------------------------------------------------------


def rounded(x):
    return x.to(torch.float32).to(torch.bfloat16).to(x.dtype)


class RoundedOperand(torch.autograd.Function):
    """The operand of a product: rounded on its way in."""

    @staticmethod
    def forward(ctx, x):
        return rounded(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class RoundedResult(torch.autograd.Function):
    """Its gradient is rounded before it is multiplied with the weights."""

    @staticmethod
    def forward(ctx, y):
        return y.clone()

    @staticmethod
    def backward(ctx, gradient):
        return rounded(gradient)


def rounded_conv(a, x, w, b=None):
    y = RoundedResult.apply(onnx_torch.conv(a, RoundedOperand.apply(x), rounded(w)))
    return y if b is None else y + b.reshape(-1, *[1] * (y.dim() - 2))


class Builder(Constants):
    def conv(self, x, channels, into, kernel, spatial=2, **attributes):
        group = attributes.get("group", 1)
        weights = self.constant(self.draw(into, channels // group, *[kernel] * spatial))
        bias = self.constant(self.random.normal(0, 0.1, into))
        return self.node("Conv", x, weights, bias, **attributes)

    def node(self, op, *inputs, **attributes):
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], output, **attributes))
        return output

    def model(self, x, output, channels, shape):
        """Pools, classifies into ten, and wraps up."""
        pooled = self.node("Flatten", self.node("GlobalAveragePool", output))
        logits = self.node("Gemm", pooled, self.constant(self.draw(10, channels)), transB=1)
        typed = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
        graph = helper.make_graph(self.nodes, "g", [typed(x, shape)], [typed(logits, [1, 10])],
                                  self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def chain(shape, *convolutions):
    """Relu, then convolutions (into, kernel, attributes) with one each. Also the first and last Relu."""
    b = Builder(1)
    spatial, channels = len(shape) - 2, shape[1]
    layer = x = b.node("Relu", "x")
    for into, kernel, attributes in convolutions:
        x = b.node("Relu", b.conv(x, channels, into, kernel, spatial, **attributes))
        channels = into
    return b.model("x", x, channels, shape), layer, x


def residual(shape):
    """Two convolutions beside one and the sum of both: a block of ResNet with its downsampling."""
    b = Builder(2)
    channels = shape[1]
    layer = b.node("Relu", "x")
    left = b.node("Relu", b.conv(layer, channels, 128, 1))
    left = b.conv(left, 128, 512, 3, strides=[2, 2], **same)
    right = b.conv(layer, channels, 512, 1, strides=[2, 2])
    x = b.node("Relu", b.node("Add", left, right))
    y = b.node("Relu", b.conv(x, 512, 64, 3, **same))
    x = b.node("Relu", b.node("Add", b.conv(y, 64, 512, 1), x))
    return b.model("x", x, 512, shape), layer, x


# Large enough that rounding pays for each convolution (src/engine/ways.c).
same = {"pads": [1] * 4}
networks = {
    "pointwise": chain((1, 64, 56, 56), (256, 1, {}), (128, 1, {})),
    "3x3": chain((1, 64, 28, 28), (64, 3, same), (96, 3, {"strides": [2, 2], **same})),
    "few channels more than blocks": chain((1, 40, 30, 26), (72, 3, same), (56, 3, same)),
    "dilation": chain((1, 48, 24, 24), (48, 3, {"dilations": [2, 2], "pads": [2] * 4})),
    "large kernel": chain((1, 32, 20, 20), (48, 7, {"pads": [3, 2, 3, 2]})),
    "groups": chain((1, 128, 28, 28), (128, 3, {"group": 4, **same}), (64, 3, same)),
    "small groups": chain((1, 128, 40, 40), (128, 3, {"group": 16, **same}), (64, 3, same)),
    "groups that no block fits": chain((1, 64, 28, 28), (80, 3, same),
                                       (80, 3, {"group": 2, **same}), (64, 3, same)),
    "volume": chain((1, 32, 8, 12, 10), (48, 3, {"pads": [1] * 6}), (32, 3, {"pads": [1] * 6})),
    "sequence": chain((1, 128, 500), (128, 9, {"pads": [4, 4]}), (64, 3, {"pads": [1, 1]})),
    "residual": residual((1, 128, 28, 28)),
}


def plan(tool, model, x, layer, prefix, *flags):
    x.numpy().astype(np.float32).tofile(prefix + ".input.f32")
    done = subprocess.run([tool, model, prefix + ".input.f32", "x".join(map(str, x.shape)), layer,
                           "3", prefix, *flags], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return {what: np.fromfile(f"{prefix}.{what}.f32", np.float32)
            for what in ("logits", "activation", "gradient")}


def expect(model, x, layer, conv):
    before = onnx_torch.OPERATORS["Conv"]
    onnx_torch.OPERATORS["Conv"] = conv
    network = onnx_torch.Network(model, torch.float64)
    values = network.run(x.to(torch.float64), layer)
    onnx_torch.OPERATORS["Conv"] = before
    logits = values[network.output]
    gradient, = torch.autograd.grad(logits.flatten()[3], values[layer])
    return {"logits": logits.detach().numpy().ravel(), "gradient": gradient.numpy().ravel(),
            "activation": values[layer].detach().numpy().ravel()}


def difference(a, b, what):
    return np.linalg.norm(a[what] - b[what]) / np.linalg.norm(b[what])


def check_last(name, found, wanted, exact):
    """With the last layer as target, what lies before it need not exist in float32."""
    for what in ("logits", "activation"):
        off, changed = difference(found, wanted, what), difference(found, exact, what)
        report(off <= TOLERANCES[what] and changed >= LEAST_CHANGES[what],
               f"{name}: last layer, {what} {off:.1e} from the rounded, {changed:.1e} from the exact")


def check_network(tool, name, folder):
    model, layer, last = networks[name]
    path, prefix = os.path.join(folder, "model.onnx"), os.path.join(folder, "run")
    onnx.save(model, path)
    torch.manual_seed(5)
    x = torch.randn([d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim])
    found = plan(tool, path, x, layer, prefix, "bfloat16")
    wanted = expect(path, x, layer, rounded_conv)
    exact = expect(path, x, layer, onnx_torch.conv)
    for what in ("logits", "gradient"):
        off, changed = difference(found, wanted, what), difference(found, exact, what)
        report(off <= TOLERANCES[what] and changed >= LEAST_CHANGES[what],
               f"{name}: {what} {off:.1e} from the rounded ones, {changed:.1e} from the exact ones")
    off = difference(found, exact, "activation")
    report(off <= 1e-6, f"{name}: activation {off:.1e}")
    check_last(name, plan(tool, path, x, "-", prefix, "bfloat16"),
               expect(path, x, last, rounded_conv), expect(path, x, last, onnx_torch.conv))
    float32 = plan(tool, path, x, layer, prefix)
    off = max(difference(float32, exact, what) for what in ("logits", "gradient"))
    report(off <= 1e-4, f"{name}: without bfloat16 {off:.1e} from the exact ones")


# ---- Real networks -------------------------------------------------------------------------------


REAL = {"mobilenetv2-imagenet.onnx": ["cat.jpg", "dog_cat.jpg", "parrot.jpg", "sunflower.jpg",
                                     "dragonfly.jpg", "hot_dog.jpg", "owl.jpg", "both.png"],
        "mobilenetv2-inat-bird.onnx": ["bird.jpg", "owl.jpg", "parrot.jpg"]}
LAYERS = ([], ["--layer", "30"])


def has_bfloat16(gradcam, model):
    """Says the tool, which names what is missing."""
    done = subprocess.run([gradcam, "layers", model, "--bfloat16"], capture_output=True, text=True)
    if done.returncode != 0 and "AVX512_BF16" not in done.stderr:
        raise RuntimeError(done.stderr)
    return done.returncode == 0


def explain(gradcam, model, picture, folder, *options):
    command = [gradcam, "explain", model, picture, "--json", f"--npy={folder}/map.npy",
               "-o", folder + "/map.png", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout), np.load(folder + "/map.npy")


def check_real(gradcam, model, pictures, layer, folder):
    most, least, same_class = 0.0, 1.0, 0
    for picture in pictures:
        chosen = ["--preset", "tf", *layer]
        said, exact = explain(gradcam, model, picture, folder, *chosen)
        index = said["predictions"][0]["index"]
        rounded_said, found = explain(gradcam, model, picture, folder, "--bfloat16", "--class",
                                      str(index), *chosen)
        same_class += rounded_said["predictions"][0]["index"] == index
        most = max(most, np.abs(found - exact).max())
        least = min(least, np.corrcoef(found.ravel(), exact.ravel())[0, 1])
    report(0 < most <= MOST_DIFFERENCE and least >= LEAST_CORRELATION and
           same_class == len(pictures),
           f"{os.path.basename(model)} {' '.join(layer)}: {same_class} of {len(pictures)} classes "
           f"the same, maps differ by {most:.4f} at most, correlate with {least:.5f} at least")


def main():
    gradcam, tool, shared = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        name = next(iter(networks))
        onnx.save(networks[name][0], os.path.join(folder, "model.onnx"))
        if not has_bfloat16(gradcam, os.path.join(folder, "model.onnx")):
            print("SKIP: this CPU has no instructions for bfloat16")
            sys.exit(77)
        for name in networks:
            check_network(tool, name, folder)
        models = os.path.join(shared, "models")
        if os.path.isdir(models):
            for name, pictures in REAL.items():
                for layer in LAYERS:
                    check_real(gradcam, os.path.join(models, name),
                               [os.path.join(shared, "images", p) for p in pictures], layer, folder)
        else:
            print(f"SKIP real networks: {models} is absent")
    print(f"{results['passed']} passed, {results['failed']} failed")
    sys.exit(1 if results["failed"] else 0)


main()
