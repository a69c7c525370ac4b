# SPDX-License-Identifier: Apache-2.0
"""Half precision: weights in float16 and bfloat16, and graphs that cast to and fro, are computed in
float32. Expected values are those of the weights as stored, in float64."""

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto

from op_case import case, ints, normal, scalar, to_bfloat16, uniform

KINDS = {"float16": (TensorProto.FLOAT16, lambda a: a.astype(np.float16)),
         "bfloat16": (TensorProto.BFLOAT16, to_bfloat16)}


def half_case(name, kind, inputs, weights, forward, nodes, opset=13):
    """`weights` are stored in the half type, `inputs` fed as float32."""
    _, store = KINDS[kind]
    held = {k: store(w) for k, w in weights.items()}
    return case(f"half_{name}_{kind}", None, {**inputs, **held}, forward, nodes=nodes,
                constants=tuple(held), opset=opset, check=False,
                bfloat16=tuple(held) if kind == "bfloat16" else ())


def networks(kind):
    to, _ = KINDS[kind]
    x = normal("half", 2, 3, 6, 5)
    w, b = normal("halfw", 4, 3, 3, 3, scale=0.3), normal("halfb", 4)
    yield half_case("conv", kind, {"x": x}, {"w": w, "b": b},
                    lambda v, k, c: F.conv2d(v, k, c, padding=1).relu(),
                    [("Cast", ["x"], ["h"], {"to": to}),
                     ("Conv", ["h", "w", "b"], ["c"], {"pads": [1, 1, 1, 1]}),
                     ("Relu", ["c"], ["r"], {}),
                     ("Cast", ["r"], ["y"], {"to": 1})])
    yield half_case("weights_cast", kind, {"x": x}, {"w": w},
                    lambda v, k: F.conv2d(v, k),
                    [("Cast", ["w"], ["f"], {"to": 1}), ("Conv", ["x", "f"], ["y"], {})])
    yield half_case("there_and_back", kind, {"x": x}, {"w": uniform("halfs", 0.5, 2, 3, 1, 1)},
                    lambda v, s: (v * s).sigmoid() * v,
                    [("Cast", ["x"], ["h"], {"to": to}), ("Mul", ["h", "w"], ["m"], {}),
                     ("Cast", ["m"], ["f"], {"to": 1}), ("Sigmoid", ["f"], ["s"], {}),
                     ("Cast", ["s"], ["g"], {"to": to}), ("Mul", ["g", "h"], ["p"], {}),
                     ("Cast", ["p"], ["y"], {"to": 1})])
    norm = {"s": normal("halfns", 3), "b": normal("halfnb", 3), "m": normal("halfnm", 3),
            "v": uniform("halfnv", 0.3, 2, 3)}
    yield half_case("batch_norm", kind, {"x": x}, norm,
                    lambda v, s, c, m, d: F.batch_norm(v, m, d, s, c, False, 0, 1e-3),
                    [("Cast", ["x"], ["h"], {"to": to}),
                     ("BatchNormalization", ["h", "s", "b", "m", "v"], ["n"], {"epsilon": 1e-3}),
                     ("Cast", ["n"], ["y"], {"to": 1})])
    yield half_case("matmul", kind, {"x": normal("halfm", 3, 7)},
                    {"w": normal("halfmw", 7, 4), "b": normal("halfmb", 4)},
                    lambda v, k, c: (v @ k + c).softmax(-1),
                    [("CastLike", ["x", "w"], ["h"], {}), ("MatMul", ["h", "w"], ["m"], {}),
                     ("Add", ["m", "b"], ["a"], {}), ("Softmax", ["a"], ["s"], {}),
                     ("Cast", ["s"], ["y"], {"to": 1})], opset=15)
    yield half_case("clip", kind, {"x": x}, {"low": scalar(-0.75), "high": scalar(0.5)},
                    lambda v, low, high: torch.where((v > low) & (v < high), v,
                                                     v.clamp(-0.75, 0.5).detach()),
                    [("Cast", ["x"], ["h"], {"to": to}), ("Clip", ["h", "low", "high"], ["c"], {}),
                     ("Cast", ["c"], ["y"], {"to": 1})])


def cases():
    for kind in KINDS:
        yield from networks(kind)
    x = normal("half_input", 2, 5).astype(np.float16)
    yield case("half_input", None, {"x": x, "k": ints(2)}, lambda v, k: v.topk(2)[0].exp(),
               nodes=[("TopK", ["x", "k"], ["t", "i"], {}), ("Exp", ["t"], ["y"], {})],
               constants=("k",), opset=13, check=False, fd=False)
