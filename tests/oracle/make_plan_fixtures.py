#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/plans/: small networks that exercise what the engine does beyond single
operators (blocked layouts with channels that do not fill a block, fusion, in-place kernels, views,
fan-out), each with what PyTorch computes for it in float64. Same two files as in
make_op_fixtures.py; gradients are those of a random combination of the outputs with respect to the
input and, as `grad_input:<name>`, of one inner tensor.
"""
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from onnx_builder import Constants
from onnx_torch import Network


class Builder(Constants):
    """Appends nodes; every method returns the name of the tensor it makes."""

    def __init__(self, name, shape, seed=0):
        super().__init__(seed + sum(map(ord, name)))
        self.name, self.shape, self.is_whole = name, shape, False

    def normal(self, shape):
        values = self.random.normal(0, 1, shape)
        return np.rint(0.6 * values) if self.is_whole else values

    def draw(self, *shape):
        if not self.is_whole:
            return super().draw(*shape)
        return self.random.choice([-1, 0, 1], shape, p=[0.025, 0.95, 0.025])

    def weights(self, *shape):
        return self.constant(self.draw(*shape))

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, f"n{len(self.nodes)}_{op}",
                                           **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, inputs, outputs, kernel=3, group=1, rank=2, bias=True, **attributes):
        shape = (outputs, inputs // group) + (kernel,) * rank
        if "auto_pad" not in attributes:
            attributes.setdefault("pads", [kernel // 2] * 2 * rank)
        b = [self.constant(self.random.normal(0, 0.3, outputs))] if bias else []
        return self.node("Conv", x, self.weights(*shape), *b, group=group, **attributes)

    def norm(self, x, channels):
        r = self.random
        return self.node("BatchNormalization", x, self.constant(r.uniform(0.5, 1.5, channels)),
                         self.constant(r.normal(0, 0.3, channels)),
                         self.constant(r.normal(0, 0.3, channels)),
                         self.constant(r.uniform(0.5, 1.5, channels)))

    def head(self, x, channels, classes=5):
        x = self.node("Flatten", self.node("GlobalAveragePool", x), axis=1)
        return self.node("Gemm", x, self.weights(classes, channels),
                         self.constant(self.random.normal(0, 0.3, classes)), transB=1)


def residual(b):
    x = b.node("Relu", b.conv("input", 3, 24))
    y = b.node("Relu", b.conv(x, 24, 24))
    x = b.node("Relu", b.node("Add", b.conv(y, 24, 24), x))
    short = b.conv(x, 24, 32, kernel=1, strides=[2, 2])
    y = b.conv(b.node("Relu", b.conv(x, 24, 24, strides=[2, 2])), 24, 32)
    return b.head(b.node("Relu", b.node("Add", y, short)), 32), x


def residual_used_again(b):
    x = b.node("Relu", b.conv("input", 3, 16))
    y = b.node("Add", x, b.conv(x, 16, 16))
    z = b.node("Add", b.conv(y, 16, 16), y)
    return b.head(b.node("Mul", z, b.node("Add", y, x)), 16), y


def inverted_residual(b):
    x = b.conv("input", 3, 24)
    low, high = b.constant(0.0), b.constant(6.0)
    y = b.node("Clip", b.conv(x, 24, 72, kernel=1), low, high)
    y = b.node("Clip", b.conv(y, 72, 72, group=72), low, high)
    return b.head(b.node("Add", x, b.conv(y, 72, 24, kernel=1)), 24), x


def squeeze_excitation(b):
    x = b.conv("input", 3, 40)
    x = b.node("Mul", x, b.node("Sigmoid", x))
    s = b.node("GlobalAveragePool", x)
    s = b.conv(s, 40, 12, kernel=1)
    s = b.node("Mul", s, b.node("Sigmoid", s))
    s = b.node("Sigmoid", b.conv(s, 12, 40, kernel=1))
    return b.head(b.node("Mul", b.conv(b.node("Mul", s, x), 40, 40), b.constant(0.5)), 40), x


def hard_swish(b):
    x = b.conv("input", 3, 24)
    x = b.node("Mul", b.node("HardSigmoid", x, alpha=1 / 6, beta=0.5), x)
    x = b.conv(x, 24, 24)
    x = b.node("Mul", x, b.node("HardSigmoid", x, alpha=0.2, beta=0.5))
    y = b.node("HardSwish", b.conv(x, 24, 24))
    return b.head(y, 24), x


def concat_blocks(b):
    x = b.node("Relu", b.conv("input", 3, 32))
    for _ in range(3):
        channels = 32 if _ == 0 else channels + 16
        y = b.node("Relu", b.norm(x, channels))
        x = b.node("Concat", x, b.conv(y, channels, 16, bias=False), axis=1)
    return b.head(x, channels + 16), y


def concat_odd_channels(b):
    x = b.node("Relu", b.conv("input", 3, 20))
    y = b.node("Concat", b.conv(x, 20, 12, kernel=1), x, b.node("MaxPool", x, kernel_shape=[3, 3],
               pads=[1, 1, 1, 1]), axis=1)
    return b.head(b.conv(y, 52, 16), 16), y


def tiled(b):
    """Large enough for Winograd's algorithm, alone and with a residual."""
    x = b.node("Relu", b.conv("input", 3, 32))
    x = b.node("Relu", b.conv(x, 32, 64))
    y = b.node("Relu", b.conv(x, 64, 64))
    x = b.node("Relu", b.node("Add", b.conv(y, 64, 64), x))
    x = b.node("MaxPool", x, kernel_shape=[4, 4], strides=[4, 4])
    return b.head(b.node("Relu", b.conv(x, 64, 32)), 32), x


def whole_numbers(b):
    """Few enough to be bfloat16, large enough for rounding to pay: the result is the exact one."""
    b.is_whole = True
    x = b.node("Relu", b.conv("input", 32, 64, bias=False))
    y = b.node("Relu", b.conv(x, 64, 64, bias=False))
    x = b.node("Relu", b.node("Add", b.conv(y, 64, 64, bias=False), x))
    return b.node("Relu", b.conv(x, 64, 32, bias=False)), x


def fire(b):
    """SqueezeNet: two branches joined, and one of them used elsewhere, too."""
    x = b.node("Relu", b.conv("input", 3, 32))
    for _ in range(2):
        s = b.node("Relu", b.conv(x, 32, 16, kernel=1))
        wide = b.node("Relu", b.conv(s, 16, 16))
        x = b.node("Concat", b.node("Relu", b.conv(s, 16, 16, kernel=1)), wide, axis=1)
    y = b.node("Add", b.conv(x, 32, 16), wide)
    return b.head(b.node("Concat", y, x, wide, axis=1), 64), y


def pools(b):
    x = b.conv("input", 3, 24)
    x = b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = b.conv(x, 24, 24)
    y = b.node("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    z = b.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    return b.head(b.node("Sub", y, z), 24), x


def broadcasts(b):
    x = b.conv("input", 3, 24)
    r = b.random
    x = b.node("Mul", x, b.constant(r.uniform(0.5, 1.5, (24, 1, 1))))
    x = b.node("Add", b.constant(r.normal(0, 1, (1, 24, 1, 1))), x)
    x = b.node("Div", x, b.constant(r.uniform(0.5, 1.5, (1, 1, 12, 12))))
    x = b.node("Sub", b.constant(1.0), x)
    x = b.node("PRelu", x, b.constant(r.uniform(0.1, 0.3, (24, 1, 1))))
    attention = b.node("Sigmoid", b.conv(x, 24, 1))
    return b.head(b.node("Mul", attention, x), 24), x


def normalised_twice(b):
    x = b.norm(b.conv("input", 3, 24, bias=False), 24)
    x = b.node("LeakyRelu", x, alpha=0.2)
    y = b.norm(b.conv(x, 24, 24), 24)
    return b.head(b.node("Tanh", b.node("Add", y, b.norm(x, 24))), 24), x


def shuffled(b):
    x = b.node("Relu", b.conv("input", 3, 32))
    y = b.conv(x, 32, 32, group=4, kernel=1)
    y = b.node("Reshape", y, b.constant([0, 4, 8, 12, 12], np.int64))
    y = b.node("Transpose", y, perm=[0, 2, 1, 3, 4])
    y = b.node("Reshape", y, b.constant([0, -1, 12, 12], np.int64))
    y = b.conv(y, 32, 32, group=32)
    return b.head(b.node("Add", x, y), 32), x


def channels_last_block(b):
    x = b.conv("input", 3, 24, kernel=3)
    y = b.conv(x, 24, 24, kernel=7, group=24)
    y = b.node("Transpose", y, perm=[0, 2, 3, 1])
    y = b.node("LayerNormalization", y, b.constant(b.random.uniform(0.5, 1.5, 24)),
               b.constant(b.random.normal(0, 0.3, 24)), axis=-1)
    y = b.node("Add", b.node("MatMul", y, b.weights(24, 48)), b.constant(np.zeros(48)))
    half = b.node("Mul", y, b.constant(0.5))
    y = b.node("Mul", half, b.node("Add", b.node("Erf", b.node("Div", y, b.constant(2 ** 0.5))),
                                   b.constant(1.0)))
    y = b.node("MatMul", y, b.weights(48, 24))
    y = b.node("Transpose", y, perm=[0, 3, 1, 2])
    y = b.node("Mul", y, b.constant(b.random.uniform(0.1, 0.5, (24, 1, 1))))
    return b.head(b.node("Add", y, x), 24), x


def upsampled(b):
    x = b.node("Relu", b.conv("input", 3, 24, strides=[2, 2]))
    y = b.node("Resize", x, "", "", b.constant([1, 24, 12, 12], np.int64), mode="linear",
               coordinate_transformation_mode="half_pixel")
    y = b.node("Pad", y, b.constant([0, 0, 1, 2, 0, 0, 0, 1], np.int64), b.constant(0.25))
    return b.head(b.conv(y, 24, 16, dilations=[2, 2], pads=[2, 2, 2, 2]), 16), x


def one_dimension(b):
    x = b.node("Relu", b.norm(b.conv("input", 3, 24, rank=1, pads=[1, 1]), 24))
    y = b.conv(x, 24, 24, rank=1, pads=[1, 1])
    return b.head(b.node("Relu", b.node("Add", y, x)), 24), x


def three_dimensions(b):
    x = b.node("Relu", b.conv("input", 3, 20, rank=3))
    y = b.node("MaxPool", x, kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    y = b.conv(y, 20, 16, rank=3, strides=[1, 2, 2])
    return b.head(b.node("Relu", y), 16), x


def unusual_convolutions(b):
    x = b.conv("input", 3, 16, kernel=4, auto_pad="SAME_UPPER")
    x = b.conv(x, 16, 24, kernel=3, pads=[0, 1, 2, 1], strides=[2, 1])
    x = b.conv(x, 24, 48, kernel=3, group=3)
    x = b.conv(x, 48, 48, kernel=3, group=48, dilations=[2, 2], pads=[2, 2, 2, 2])
    return b.head(b.node("Relu", x), 48), x


def joined_groups(b):
    x = b.node("Relu", b.conv("input", 3, 32))
    y = b.node("Relu", b.conv(x, 32, 32, group=8))
    y = b.conv(y, 32, 48, group=4, strides=[2, 2])
    y = b.conv(y, 48, 48, group=2, kernel=1)
    return b.head(b.node("Relu", b.conv(y, 48, 24, group=24)), 24), x


def split_and_doubled(b):
    x = b.node("Relu", b.conv("input", 3, 48))
    parts = b.node("Split", x, b.constant([16, 24, 8], np.int64), outputs=3, axis=1)
    y = b.conv(b.node("Concat", parts[2], parts[0], axis=1), 24, 24)
    y = b.node("Mul", y, y)
    return b.head(b.node("Add", y, y), 24), x


def wide_head(b):
    x = b.node("Relu", b.conv("input", 3, 24))
    x = b.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    y = b.node("Flatten", x, axis=1)
    y = b.node("Relu", b.node("Gemm", y, b.weights(30, 24 * 36), b.constant(np.ones(30)), transB=1))
    # alpha keeps the Softmax away from saturation, where float32 has no digits left
    y = b.node("Gemm", y, b.weights(30, 7), b.constant(np.zeros((1, 7))), alpha=0.1)
    return b.node("Softmax", y, axis=1), x


NETWORKS = {
    residual: [1, 3, 12, 12], residual_used_again: [1, 3, 12, 12],
    inverted_residual: [2, 3, 12, 12], squeeze_excitation: [1, 3, 12, 12],
    hard_swish: [1, 3, 12, 12], concat_blocks: [1, 3, 12, 12],
    tiled: [1, 3, 28, 28], whole_numbers: [1, 32, 16, 16], fire: [1, 3, 12, 12],
    concat_odd_channels: [1, 3, 12, 12], pools: [2, 3, 12, 12], broadcasts: [1, 3, 12, 12],
    normalised_twice: [1, 3, 12, 12], shuffled: [1, 3, 12, 12],
    channels_last_block: [1, 3, 12, 12], upsampled: [1, 3, 12, 12], one_dimension: [1, 3, 15],
    three_dimensions: [1, 3, 6, 8, 8], unusual_convolutions: [1, 3, 13, 12],
    wide_head: [1, 3, 12, 12], joined_groups: [1, 3, 12, 12],
    split_and_doubled: [1, 3, 12, 12],
}


def initializers_only(arrays):
    held = [numpy_helper.from_array(np.ascontiguousarray(a, np.float32), n)
            for n, a in arrays.items()]
    outs = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in held]
    return helper.make_model(helper.make_graph([], "expected", [], outs, held),
                             opset_imports=[helper.make_opsetid("", 17)])


def write(folder, function, shape):
    b = Builder(function.__name__, shape)
    output, layer = function(b)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(b.nodes, b.name, [info("input", TensorProto.FLOAT, shape)],
                              [info(output, TensorProto.FLOAT, None)], b.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    x = torch.from_numpy(b.normal(shape).astype(np.float32)).double()
    network = Network(model, torch.float64)
    arrays = {"input:input": x.numpy()}
    for name in ("input", layer):
        values = network.run(x, name)
        seed = np.random.default_rng(5).normal(0, 1, values[output].shape).astype(np.float32)
        seed = torch.from_numpy(np.rint(0.6 * seed) if b.is_whole else seed).double()
        gradient, = torch.autograd.grad((values[output] * seed).sum(), values[name])
        arrays[f"grad_input:{name}"] = gradient.numpy()
    arrays[f"output:{output}"] = values[output].detach().numpy()
    arrays[f"output:{layer}"] = values[layer].detach().numpy()
    arrays[f"grad_output:{output}"] = seed.numpy()
    onnx.save(model, folder / f"{b.name}.onnx")
    onnx.save(initializers_only(arrays), folder / f"{b.name}.expected.onnx")


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "plans"
    folder.mkdir(parents=True, exist_ok=True)
    for function, shape in NETWORKS.items():
        write(folder, function, shape)
    print(f"{len(NETWORKS)} networks")


if __name__ == "__main__":
    main()
