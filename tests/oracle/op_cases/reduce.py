# SPDX-License-Identifier: Apache-2.0
"""The Reduce family."""

import numpy as np
import torch

from op_case import away_from, case, failure, ints, normal, uniform

SHAPE = (2, 3, 4, 2)


def product(x, axes, keep):
    for axis in sorted((a % x.dim() for a in axes), reverse=True):
        x = torch.prod(x, axis, keep)
    return x


FUNCTIONS = {
    "Sum": lambda x, a, k: x.sum(a, k),
    "Mean": lambda x, a, k: x.mean(a, k),
    "Max": torch.amax,
    "Min": torch.amin,
    "Prod": product,
    "L1": lambda x, a, k: x.abs().sum(a, k),
    "L2": lambda x, a, k: (x * x).sum(a, k).sqrt(),
    "SumSquare": lambda x, a, k: (x * x).sum(a, k),
    "LogSum": lambda x, a, k: x.sum(a, k).log(),
    "LogSumExp": torch.logsumexp,
}


def data(name, kind, *shape):
    if kind in ("Max", "Min"):  # far enough apart for finite differences
        order = np.random.default_rng(len(name)).permutation(int(np.prod(shape)))
        return (order.reshape(shape) * 0.05 - 1).astype(np.float32)
    if kind == "LogSum":
        return uniform(name, 0.1, 2, *shape)
    return away_from(normal(name, *shape), 0)


def reduce(name, kind, x, axes, keep=1, opset=18, as_input=None, fd=True, **attrs):
    """axes None: all."""
    as_input = opset >= 18 or (kind == "Sum" and opset >= 13) if as_input is None else as_input
    every = tuple(range(x.ndim))
    inputs = {"x": x}
    if keep != 1:
        attrs["keepdims"] = keep
    if axes is not None and as_input:
        inputs["axes"] = ints(list(axes))
    elif axes is not None:
        attrs["axes"] = list(axes)
    return case(name, f"Reduce{kind}", inputs,
                lambda x, *_: FUNCTIONS[kind](x, tuple(axes) if axes else every, bool(keep)),
                attrs=attrs, opset=opset, check=opset <= 17, fd=fd,
                constants=["axes"] if "axes" in inputs else ())


def floats():
    for kind in FUNCTIONS:
        name = f"reduce_{kind.lower()}"
        x = data(name, kind, *SHAPE)
        yield reduce(name, kind, x, [1])
        yield reduce(f"{name}_all", kind, x, None)
        yield reduce(f"{name}_spatial", kind, x, [2, 3], keep=0)
        yield reduce(f"{name}_apart", kind, x, [0, 2], keep=0)
        yield reduce(f"{name}_last", kind, x, [-1])
        yield reduce(f"{name}_order", kind, x, [-1, 0])
        yield reduce(f"{name}_empty", kind, x, [])
        yield reduce(f"{name}_old", kind, x, [1, -1], keep=0, opset=11)
        yield reduce(f"{name}_ones", kind, data(name, kind, 1, 3, 1), [0, 2])
        yield reduce(f"{name}_vector", kind, data(name, kind, 5), [0], keep=0)
        yield case(f"{name}_noop", f"Reduce{kind}", {"x": x, "axes": ints([])},
                   lambda x, _: x.clone(), attrs={"noop_with_empty_axes": 1}, opset=18,
                   constants=["axes"], check=False)
    yield reduce("reduce_sum_opset13", "Sum", data("s13", "Sum", *SHAPE), [1, 2], opset=13)
    yield reduce("reduce_mean_opset17", "Mean", data("m17", "Mean", *SHAPE), [2, 3], opset=17)
    yield reduce("reduce_mean_long", "Mean", normal("long", 2, 2000), [1], fd=False)


def ties():
    x = np.array([[1, 3, 3], [2, 2, 2], [0, -1, 0]], np.float32)
    for kind in ("Max", "Min"):
        yield reduce(f"reduce_{kind.lower()}_ties", kind, x, [1], fd=False)
        yield reduce(f"reduce_{kind.lower()}_ties_all", kind, x, None, fd=False)
    zeros = np.array([[0, 2, 3], [0, 0, 3], [1, 2, 3]], np.float32)
    yield reduce("reduce_prod_zeros", "Prod", zeros, [1])
    yield reduce("reduce_l1_zeros", "L1", zeros, [1], fd=False)
    yield case("reduce_l2_zeros", "ReduceL2", {"x": np.zeros((2, 3), np.float32)},
               lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True), fd=False,
               attrs={"axes": [1]})
    yield reduce("reduce_logsumexp_large", "LogSumExp",
                 np.array([[1000, 1001], [-1000, -999], [-np.inf, 0]], np.float32), [1], fd=False)


def integers():
    x = ints([[3, -4, 5], [7, 0, -2]])
    for kind in ("Sum", "Max", "Min", "Prod", "L1", "SumSquare"):
        yield reduce(f"reduce_{kind.lower()}_int", kind, x, [1], keep=0)
        yield reduce(f"reduce_{kind.lower()}_int_all", kind, x, None)
    yield case("reduce_mean_int", "ReduceMean", {"x": x},
               lambda x: torch.div(x.sum(1, True), 3, rounding_mode="trunc"), attrs={"axes": [1]})


def cases():
    yield from floats()
    yield from ties()
    yield from integers()
    x = normal("reduce", 2, 3)
    yield failure("reduce_bad_axis", "ReduceSum", {"x": x, "a": ints([2])}, "MODEL",
                  constants=["a"])
    yield failure("reduce_axis_twice", "ReduceSum", {"x": x, "a": ints(1, -1)}, "MODEL",
                  constants=["a"])
    yield failure("reduce_fed_axes", "ReduceSum", {"x": x, "a": ints([1])}, "UNSUPPORTED")
