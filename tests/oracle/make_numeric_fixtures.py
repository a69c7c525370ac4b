#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/numerics: small networks for tests of threads, repeatability and the edges
of arithmetic. What is expected of them follows from how they are made; see tests/unit/test_*.c.

  free         free batch, height and width; channels in blocks, a residual, a gate
  fixed_batch  the same with a batch of 3
  denormal     the same, weights such that every activation behind the first layer is denormal
  point        the only layer has one place
  logits, softmax, sigmoid
               the same classifier without and with a final activation, whose input saturates it
  norm, norm_as_conv
               a BatchNormalization that no convolution can absorb, and the convolution it amounts to
  empty_branch a part without channels is joined to one with: as `logits` without
  empty_space  the second layer has no places
  empty_batch  an input without samples
  empty_width  an input without columns
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx_builder import Constants

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "numerics"


class Builder(Constants):
    """Appends nodes; every method returns the name of the tensor it makes."""

    def __init__(self):
        super().__init__(7)

    def node(self, op, *inputs, **attributes):
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [f"{name}_out"], name, **attributes))
        return f"{name}_out"

    def conv(self, x, inputs, outputs, kernel=3, group=1, factor=1.0, pads=None):
        pads = [kernel // 2] * 4 if pads is None else pads
        w = self.constant(factor * self.draw(outputs, inputs // group, kernel, kernel))
        bias = self.constant(factor * self.random.normal(0, 0.3, outputs))
        return self.node("Conv", x, w, bias, pads=pads, group=group)

    def head(self, x, channels, classes=5, factor=1.0):
        x = self.node("Flatten", self.node("GlobalAveragePool", x), axis=1)
        return self.node(
            "Gemm", x, self.constant(factor * self.draw(classes, channels)), transB=1
        )

    def write(self, name, shape, output, classes=5):
        batch = shape[0] if shape[0] != "n" else "n"
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, classes])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


def blocks(name, shape, factor=1.0):
    """Convolutions that oneDNN packs, one that it may join by groups, and a gate."""
    b = Builder()
    x = b.node("Relu", b.conv("input", 3, 16, factor=factor))
    # Behind a denormal layer, biases would drown what they are added to.
    y = b.node("Relu", b.conv(x, 16, 16) if factor == 1.0 else unbiased(b, x, 16, 16))
    x = b.node("Relu", b.node("Add", x, y))
    x = b.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.conv(x, 16, 16, group=16) if factor == 1.0 else unbiased(b, x, 16, 16, group=16)
    x = b.node("Relu", b.conv(x, 16, 24) if factor == 1.0 else unbiased(b, x, 16, 24))
    if factor == 1.0:
        gate = b.node("Sigmoid", b.conv(b.node("GlobalAveragePool", x), 24, 24, kernel=1))
        x = b.node("Mul", x, gate)
    b.write(name, shape, b.node("Softmax", b.head(x, 24), axis=1))


def unbiased(b, x, inputs, outputs, group=1):
    w = b.constant(np.abs(b.draw(outputs, inputs // group, 3, 3)))
    return b.node("Conv", x, w, pads=[1, 1, 1, 1], group=group)


def point():
    b = Builder()
    x = b.node("Relu", b.conv("input", 3, 8, kernel=8, pads=[0] * 4))
    x = b.node("Flatten", x, axis=1)
    b.write("point", [1, 3, 8, 8], b.node("Gemm", x, b.constant(b.draw(5, 8)), transB=1))


def classifier(name, activation=None, branch=False):
    """Logits far beyond what Softmax and Sigmoid can tell apart in float32."""
    b = Builder()
    x = b.node("Relu", b.conv("input", 3, 8))
    logits = b.head(x, 8, factor=1e4)
    if branch:
        none = b.node("Slice", x, b.constant([3], np.int64), b.constant([3], np.int64),
                      b.constant([1], np.int64))
        b.nodes[-1].name = "nothing"
        # The head is made again behind the joint.
        b.nodes = [n for n in b.nodes if n.op_type in ("Conv", "Relu", "Slice")]
        x = b.node("Concat", x, b.node("Relu", none), axis=1)
        x = b.node("Flatten", b.node("GlobalAveragePool", x), axis=1)
        logits = b.node("Gemm", x, b.constants[2].name, transB=1)
    b.write(name, [1, 3, 8, 8], logits if activation is None else b.node(activation, logits))


def normalised(name, as_convolution):
    b = Builder()
    gamma, beta, mean = (b.random.normal(1, 0.5, 8) for _ in range(3))
    variance = b.random.uniform(0.5, 2, 8)
    x = b.node("MaxPool", b.node("Relu", b.conv("input", 3, 8)), kernel_shape=[2, 2])
    if as_convolution:
        scale = gamma / np.sqrt(variance + 1e-3)
        x = b.node("Conv", x, b.constant(scale.reshape(8, 1, 1, 1)),
                   b.constant(beta - mean * scale), group=8)
    else:
        x = b.node("BatchNormalization", x, *map(b.constant, (gamma, beta, mean, variance)),
                   epsilon=1e-3)
    x = b.node("Relu", b.conv(b.node("Relu", x), 8, 8))
    b.write(name, [1, 3, 16, 16], b.head(x, 8))


def empty(name, shape):
    b = Builder()
    b.write(name, shape, b.head(b.node("Relu", b.conv("input", 3, 8)), 8))


def empty_space():
    b = Builder()
    x = b.node("Relu", b.conv("input", 3, 8))
    x = b.node("Slice", x, b.constant([8, 8], np.int64), b.constant([8, 8], np.int64),
               b.constant([2, 3], np.int64))
    x = b.node("ReduceSum", b.node("Relu", x), b.constant([2, 3], np.int64), keepdims=0)
    b.write("empty_space", [1, 3, 8, 8], b.node("Gemm", x, b.constant(b.draw(5, 8)), transB=1))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    blocks("free", ["n", 3, "h", "w"])
    blocks("fixed_batch", [3, 3, 24, 32])
    blocks("normal", [1, 3, "h", "w"], factor=0.1)
    blocks("denormal", [1, 3, "h", "w"], factor=1e-39)
    point()
    classifier("logits")
    classifier("softmax", "Softmax")
    classifier("sigmoid", "Sigmoid")
    classifier("empty_branch", branch=True)
    normalised("norm", False)
    normalised("norm_as_conv", True)
    empty_space()
    empty("empty_batch", [0, 3, 8, 8])
    empty("empty_width", [1, 3, 8, 0])
