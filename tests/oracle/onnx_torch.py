# SPDX-License-Identifier: Apache-2.0
"""Runs an ONNX graph with PyTorch operators, so that autograd can be asked about any tensor.

An oracle for files that no PyTorch module stands behind. Written from the ONNX specification,
independently of the C code; covers what the networks in the tests use.
"""
import numpy as np
import onnx
from pytorch import torch
import torch.nn.functional as F
from onnx import numpy_helper


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def pad_for(x, kernel, a):
    """Explicit pads as F.pad wants them, and the input padded with `value` by the caller."""
    rank = x.dim() - 2
    strides = a.get("strides", [1] * rank)
    dilations = a.get("dilations", [1] * rank)
    auto = a.get("auto_pad", b"NOTSET").decode()
    pads = list(a.get("pads", [0] * 2 * rank))
    if auto.startswith("SAME"):
        for i in range(rank):
            size = x.shape[2 + i]
            total = max((-(-size // strides[i]) - 1) * strides[i]
                        + (kernel[i] - 1) * dilations[i] + 1 - size, 0)
            small, large = total // 2, total - total // 2
            pads[i], pads[rank + i] = (small, large) if auto == "SAME_UPPER" else (large, small)
    flat = []
    for i in reversed(range(rank)):
        flat += [pads[i], pads[rank + i]]
    return flat, strides, dilations


def conv(a, x, w, b=None):
    flat, strides, dilations = pad_for(x, w.shape[2:], a)
    run = [F.conv1d, F.conv2d, F.conv3d][x.dim() - 3]
    return run(F.pad(x, flat), w, b, strides, 0, dilations, a.get("group", 1))


def max_pool(a, x):
    flat, strides, dilations = pad_for(x, a["kernel_shape"], a)
    run = [F.max_pool1d, F.max_pool2d, F.max_pool3d][x.dim() - 3]
    return run(F.pad(x, flat, value=-np.inf), a["kernel_shape"], strides, 0, dilations,
               bool(a.get("ceil_mode", 0)))


def average_pool(a, x):
    flat, strides, _ = pad_for(x, a["kernel_shape"], a)
    run = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][x.dim() - 3]
    ones = torch.ones_like(x)
    total = run(F.pad(x, flat), a["kernel_shape"], strides)
    if a.get("count_include_pad", 0):
        return total
    return total / run(F.pad(ones, flat), a["kernel_shape"], strides)


def gemm(a, x, w, c=None):
    x = x.t() if a.get("transA", 0) else x
    w = w.t() if a.get("transB", 0) else w
    y = a.get("alpha", 1.0) * (x @ w)
    return y if c is None else y + a.get("beta", 1.0) * c


def batch_norm(a, x, scale, bias, mean, var):
    return F.batch_norm(x, mean, var, scale, bias, False, 0.0, a.get("epsilon", 1e-5))


def lrn(a, x):
    size = a["size"]
    square = F.pad((x * x).unsqueeze(1), (0, 0, 0, 0, (size - 1) // 2, size // 2))
    total = sum(square[:, 0, i:i + x.shape[1]] for i in range(size))
    return x / (a.get("bias", 1.0) + a.get("alpha", 1e-4) / size * total) ** a.get("beta", 0.75)


def reshape(a, x, shape):
    sizes = [x.shape[i] if s == 0 else int(s) for i, s in enumerate(shape.tolist())]
    return x.reshape(sizes)


def slice_(a, x, starts, ends, axes=None, steps=None):
    axes = list(range(len(starts))) if axes is None else axes.tolist()
    steps = [1] * len(axes) if steps is None else steps.tolist()
    index = [slice(None)] * x.dim()
    for axis, s, e, step in zip(axes, starts.tolist(), ends.tolist(), steps):
        index[axis] = slice(s, e, step) if step > 0 else None
        if step < 0:
            keep = list(range(x.shape[axis]))[slice(s, None if e < -x.shape[axis] else e, step)]
            return x.index_select(axis, torch.tensor(keep))
    return x[tuple(index)]


def resize(a, x, *rest):
    inputs = [r for r in rest if r is not None and r.numel()]
    last = inputs[-1]
    sizes = (last.tolist() if last.dtype == torch.int64
             else [int(s * n) for s, n in zip(last.tolist(), x.shape)])[2:]
    mode = a.get("mode", b"nearest").decode()
    how = a.get("coordinate_transformation_mode", b"half_pixel").decode()
    if mode == "nearest":
        return F.interpolate(x, sizes, mode="nearest")
    return F.interpolate(x, sizes, mode="bilinear", align_corners=how == "align_corners")


def pad(a, x, pads, value=None):
    rank = x.dim()
    flat = []
    for i in reversed(range(rank)):
        flat += [int(pads[i]), int(pads[rank + i])]
    return F.pad(x, flat, value=0.0 if value is None else float(value))


def divide(a, x, y):
    return torch.div(x, y, rounding_mode="trunc") if x.dtype == torch.int64 else x / y


def cast(a, x):
    types = {1: torch.float32, 6: torch.int64, 7: torch.int64, 9: torch.bool, 11: torch.float32}
    return x.to(types[a["to"]])


def along(parameter, x, axis):
    """A scale or zero point as it broadcasts against x."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if i == axis % x.dim() else 1 for i in range(x.dim())])


def quantize(a, x, scale, zero):
    """Straight-through: rounding counts as the identity. Whole numbers stay floating."""
    low, high = torch.iinfo(zero.dtype).min, torch.iinfo(zero.dtype).max
    ratio = x / along(scale, x, a.get("axis", 1))
    rounded = ratio + (torch.round(ratio) - ratio).detach()
    return torch.clamp(rounded + along(zero, x, a.get("axis", 1)).to(x.dtype), low, high)


def dequantize(a, q, scale, zero=torch.tensor(0)):
    axis = a.get("axis", 1)
    return (q.to(scale.dtype) - along(zero, q, axis).to(scale.dtype)) * along(scale, q, axis)


def axes_of(a, rest):
    return list(a["axes"]) if "axes" in a else rest[0].tolist() if rest else None


def squeeze(a, x, *rest):
    for axis in sorted((i % x.dim() for i in axes_of(a, rest)), reverse=True):
        x = x.squeeze(axis)
    return x


def unsqueeze(a, x, *rest):
    axes = axes_of(a, rest)
    for axis in sorted(i % (x.dim() + len(axes)) for i in axes):
        x = x.unsqueeze(axis)
    return x


OPERATORS = {
    "Add": lambda a, x, y: x + y, "Sub": lambda a, x, y: x - y, "Mul": lambda a, x, y: x * y,
    "Div": divide, "Pow": lambda a, x, y: x ** y, "Sqrt": lambda a, x: x.sqrt(),
    "Sum": lambda a, *x: sum(x), "Relu": lambda a, x: x.relu(), "Erf": lambda a, x: x.erf(),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "PRelu": lambda a, x, s: torch.where(x > 0, x, x * s),
    "Sigmoid": lambda a, x: x.sigmoid(), "Tanh": lambda a, x: x.tanh(),
    "HardSwish": lambda a, x: x * (x / 6 + 0.5).clamp(0, 1),
    "HardSigmoid": lambda a, x: (x * a.get("alpha", 0.2) + a.get("beta", 0.5)).clamp(0, 1),
    "Clip": lambda a, x, low=None, high=None: F.hardtanh(
        x, float(a.get("min", -np.inf) if low is None else low),
        float(a.get("max", np.inf) if high is None else high)),
    "Conv": conv, "MaxPool": max_pool, "AveragePool": average_pool, "Gemm": gemm, "LRN": lrn,
    "MatMul": lambda a, x, y: x @ y, "BatchNormalization": batch_norm,
    "GlobalAveragePool": lambda a, x: x.mean(tuple(range(2, x.dim())), True),
    "ReduceMean": lambda a, x, *r: x.mean(axes_of(a, r), bool(a.get("keepdims", 1))),
    "Flatten": lambda a, x: x.reshape(int(np.prod(x.shape[:a.get("axis", 1)])), -1),
    "Reshape": reshape, "Transpose": lambda a, x: x.permute(*a["perm"]),
    "Concat": lambda a, *x: torch.cat(x, a["axis"]), "Slice": slice_, "Resize": resize,
    "Split": lambda a, x, s: x.split(s.tolist(), a.get("axis", 0)), "Pad": pad, "Softmax": lambda a, x: x.softmax(a.get("axis", -1)), "Cast": cast,
    "QuantizeLinear": quantize, "DequantizeLinear": dequantize,
    "Identity": lambda a, x: x, "Dropout": lambda a, x, *r: x, "Squeeze": squeeze,
    "Unsqueeze": unsqueeze, "Shape": lambda a, x: torch.tensor(x.shape),
    "Gather": lambda a, x, i: x.index_select(a.get("axis", 0), i.reshape(-1)).reshape(
        x.shape[:a.get("axis", 0)] + i.shape + x.shape[a.get("axis", 0) + 1:]),
    "LayerNormalization": lambda a, x, s, b=None: F.layer_norm(
        x, x.shape[a.get("axis", -1) % x.dim():], s, b, a.get("epsilon", 1e-5)),
    "Constant": lambda a: torch.from_numpy(np.array(numpy_helper.to_array(a["value"]))),
    "ConstantOfShape": lambda a, s: torch.full(
        tuple(s.tolist()), numpy_helper.to_array(a["value"]).item() if "value" in a else 0.0),
}


class Network:
    def __init__(self, model, dtype=torch.float32):
        """`model` is a path or a ModelProto; floating constants become `dtype`."""
        self.graph = (model if isinstance(model, onnx.ModelProto) else onnx.load(model)).graph
        self.constants = {t.name: torch.from_numpy(np.array(numpy_helper.to_array(t)))
                          for t in self.graph.initializer}
        self.constants = {name: t.to(dtype) if t.is_floating_point() else t
                          for name, t in self.constants.items()}
        names = [i.name for i in self.graph.input if i.name not in self.constants]
        self.input, self.output = names[0], self.graph.output[0].name

    def run(self, x, layer=None):
        """All tensors by name; `layer`, if given, is a leaf whose gradient can be had."""
        values = dict(self.constants)
        values[self.input] = x
        if layer == self.input:
            values[self.input] = x = x.detach().requires_grad_(True)
        for node in self.graph.node:
            inputs = [values[n] if n else None for n in node.input]
            while inputs and inputs[-1] is None:
                inputs.pop()
            result = OPERATORS[node.op_type](attributes(node), *inputs)
            results = list(result) if isinstance(result, (tuple, list)) else [result]
            for name, tensor in zip(node.output, results):
                values[name] = tensor.detach().requires_grad_(True) if name == layer else tensor
        return values
