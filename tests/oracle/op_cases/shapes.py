# SPDX-License-Identifier: Apache-2.0
"""Shape chains: Shape, Size, ConstantOfShape, Range, EyeLike; and indexing."""

import numpy as np
import torch
from onnx import TensorProto, helper

from op_case import case, failure, ints, normal, scalar


def tensor(value, dtype):
    return helper.make_tensor("value", dtype, [1], [value])


def shapes():
    x = normal("shapes", 2, 3, 4, 5)
    yield case("shape", "Shape", {"x": x}, lambda x: torch.tensor([2, 3, 4, 5]))
    yield case("shape_scalar", "Shape", {"x": scalar(1)}, lambda x: torch.zeros(0).long())
    for name, attrs in (("start", {"start": 1}), ("end", {"end": 3}), ("both", {"start": 1,
                        "end": -1}), ("negative", {"start": -2}), ("clamped", {"start": -9,
                        "end": 9}), ("crossed", {"start": 3, "end": 1})):
        picked = slice(attrs.get("start"), attrs.get("end"))
        yield case(f"shape_{name}", "Shape", {"x": x}, lambda x, p=picked:
                   torch.tensor([2, 3, 4, 5])[p], attrs=attrs)
    yield case("size", "Size", {"x": x}, lambda x: torch.tensor(120))
    yield case("size_scalar", "Size", {"x": scalar(1)}, lambda x: torch.tensor(1))

    yield case("shape_chain", "Reshape", {"x": x, "zero": scalar(0, np.int64), "minus": ints(-1)},
               lambda x, *_: x.reshape(2, -1), constants=["zero", "minus"], outputs=["y"], nodes=[
                   ("Shape", ["x"], ["s"], {}),
                   ("Gather", ["s", "zero"], ["n"], {"axis": 0}),
                   ("Reshape", ["n", "minus"], ["n1"], {}),
                   ("Concat", ["n1", "minus"], ["to"], {"axis": 0}),
                   ("Reshape", ["x", "to"], ["y"], {})])


def given():
    """Constant, in each of its forms."""
    x = normal("given", 3)
    forms = {"value_float": (1.5, lambda: 1.5), "value_int": (3, lambda: 3),
             "value_floats": ([1.5, -2.0, 0.25], lambda: torch.tensor([1.5, -2.0, 0.25])),
             "value_ints": ([3, -1, 2], lambda: torch.tensor([3, -1, 2]))}
    for name, (value, result) in forms.items():
        cast = [("Cast", ["c"], ["f"], {"to": 1})]
        yield case(f"constant_{name}", None, {"x": x}, lambda v, r=result: v * r(),
                   nodes=[("Constant", [], ["c"], {name: value}), *cast,
                          ("Mul", ["x", "f"], ["y"], {})], opset=13)
    yield case("constant_value", None, {"x": x}, lambda v: v * 1.5,
               nodes=[("Constant", [], ["c"], {"value": tensor(1.5, TensorProto.FLOAT)}),
                      ("Mul", ["x", "c"], ["y"], {})], opset=13)


def fills():
    def constant(name, shape, value, dtype, forward):
        attrs = {} if value is None else {"value": tensor(value, dtype)}
        return case(f"constant_of_shape_{name}", "ConstantOfShape", {"s": ints(shape)}, forward,
                    constants=["s"], attrs=attrs)

    yield constant("default", [2, 3], None, None, lambda s: torch.zeros(2, 3))
    yield constant("float", [4], 1.5, TensorProto.FLOAT, lambda s: torch.full((4,), 1.5))
    yield constant("int", [2, 2], 7, TensorProto.INT64, lambda s: torch.full((2, 2), 7))
    yield constant("bool", [3], True, TensorProto.BOOL, lambda s: torch.ones(3) > 0)
    yield constant("scalar", [], 2.0, TensorProto.FLOAT, lambda s: torch.tensor(2.0))
    yield constant("empty", [0, 3], 2.0, TensorProto.FLOAT, lambda s: torch.zeros(0, 3))
    for name, shape, status in (("huge", [2**40], "LIMIT"), ("overflow", [2**33, 2**33], "LIMIT"),
                                ("zero_huge", [0, 2**62, 2**62], "LIMIT"),
                                ("negative", [-1], "SHAPE"), ("rank", [1] * 9, "UNSUPPORTED")):
        yield failure(f"constant_of_shape_{name}", "ConstantOfShape", {"s": ints(shape)}, status,
                      constants=["s"])
    yield failure("constant_of_shape_fed", "ConstantOfShape", {"s": ints(2)}, "UNSUPPORTED")

    yield from given()

    def span(name, start, limit, delta, dtype=np.int64):
        inputs = {"a": scalar(start, dtype), "b": scalar(limit, dtype), "c": scalar(delta, dtype)}
        numbers = np.arange(start, limit, delta, dtype=np.float64 if dtype == np.float32 else dtype)
        return case(f"range_{name}", "Range", inputs, lambda *_: torch.tensor(numbers),
                    constants=list(inputs))

    yield span("up", 0, 5, 1)
    yield span("step", 1, 10, 3)
    yield span("down", 5, -4, -2)
    yield span("none", 5, 1, 1)
    yield span("float", 0.5, 3.0, 0.75, np.float32)
    yield span("float_down", 1.0, -1.0, -0.5, np.float32)
    for name, values, status in (("zero", (0, 5, 0), "MODEL"), ("huge", (0, 2**62, 1), "LIMIT"),
                                 ("extreme", (-2**63, 2**63 - 1, 1), "LIMIT")):
        yield failure(f"range_{name}", "Range", {k: scalar(v, np.int64)
                                                 for k, v in zip("abc", values)}, status,
                      constants=list("abc"))
    yield failure("range_nan", "Range", {k: scalar(v) for k, v in zip("abc", (0, 1, np.nan))},
                  "MODEL", constants=list("abc"))
    x = normal("eye", 3, 4)
    yield case("eye_like", "EyeLike", {"x": x}, lambda x: torch.eye(3, 4), grads=[])
    yield case("eye_like_k", "EyeLike", {"x": x}, lambda x: torch.tensor(np.eye(3, 4, k=-1)).long(),
               grads=[], attrs={"k": -1, "dtype": TensorProto.INT64})


def gathers():
    x = normal("gathers", 3, 4, 5)

    def gather(name, axis, indices, **more):
        indices = np.asarray(indices, np.int64)

        def forward(x, i):
            picked = torch.index_select(x, axis, (i % x.shape[axis]).reshape(-1))
            return picked.reshape(x.shape[:axis] + i.shape + x.shape[axis + 1:])

        attrs = {"axis": more.pop("given", axis)}
        return case(f"gather_{name}", "Gather", {"x": x, "i": indices}, forward, attrs=attrs,
                    **more)

    yield gather("rows", 0, [2, 0])
    yield gather("scalar", 1, 0, constants=["i"])
    yield gather("last", 2, [[0, 4], [1, 1]], given=-1, constants=["i"])
    yield gather("negative", 1, [-1, -4, 2])
    yield gather("repeated", 0, [1, 1, 1, 2])
    yield gather("none", 1, np.zeros((0,)))
    yield case("gather_int", "Gather", {"x": ints(5, 6, 7), "i": scalar(-1, np.int64)},
               lambda x, i: torch.tensor(7))
    yield failure("gather_above", "Gather", {"x": x, "i": ints(3)}, "MODEL")
    yield failure("gather_below", "Gather", {"x": x, "i": ints(-4)}, "MODEL")
    yield failure("gather_axis", "Gather", {"x": x, "i": ints(0)}, "MODEL", attrs={"axis": 3})
    yield failure("gather_float", "Gather", {"x": x, "i": normal("gf", 1)}, "MODEL")
    yield failure("gather_rank", "Gather", {"x": x, "i": np.zeros([1] * 7, np.int64)},
                  "UNSUPPORTED")


def cases():
    yield from shapes()
    yield from fills()
    yield from gathers()
