# SPDX-License-Identifier: Apache-2.0
"""Operators of several operands that broadcast: arithmetic, comparison, logic, Where."""

import numpy as np
import torch

from op_case import away_from, case, failure, generator, ints, normal, scalar, uniform

# a and b: equal, scalars, trailing and leading parts, both ways, both at once, ranks up to 8
PATTERNS = {
    "same": ((2, 3, 4), (2, 3, 4)),
    "scalar": ((2, 3, 4), ()),
    "scalar_first": ((), (3, 4)),
    "one": ((2, 3, 4), (1,)),
    "row": ((2, 3, 4), (4,)),
    "channel": ((2, 3, 4, 5), (3, 1, 1)),
    "gate": ((2, 3, 4, 5), (2, 3, 1, 1)),
    "gate_first": ((2, 3, 1, 1), (2, 3, 4, 5)),
    "batch": ((1, 3, 4), (5, 3, 4)),
    "both": ((2, 1, 4), (3, 1)),
    "cross": ((5, 1), (1, 7)),
    "middle": ((2, 3, 4, 5), (2, 1, 4, 1)),
    "blocked": ((2, 2, 3, 3, 8), (2, 2, 1, 1, 8)),
    "rank8": ((2, 1, 2, 1, 2, 3, 1, 2), (2, 1, 3, 1, 1, 3, 2)),
    "empty": ((0, 3), (1, 3)),
}

FUNCTIONS = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
    "Pow": torch.pow,
}


def operands(name, op, pattern):
    shape_a, shape_b = PATTERNS[pattern]
    a, b = normal(name + "a", *shape_a), normal(name + "b", *shape_b)
    if op == "Div":
        b = away_from(b, 0, margin=0.4)
    if op == "Pow":
        a = np.abs(a) + np.float32(0.2)
    return {"a": np.asarray(a, np.float32), "b": np.asarray(b, np.float32)}


def floats():
    for op, forward in FUNCTIONS.items():
        for pattern in PATTERNS:
            name = f"{op.lower()}_{pattern}"
            yield case(name, op, operands(name, op, pattern), forward)
        name = f"{op.lower()}_constant"
        yield case(name, op, operands(name, op, "channel"), forward, constants=["b"])
        name = f"{op.lower()}_constant_first"
        inputs = operands(name, op, "gate_first")
        yield case(name, op, inputs, forward, constants=["a"])
    yield case("mul_large", "Mul", {"a": normal("ml", 40, 512), "b": normal("mb", 40, 512)},
               lambda a, b: a * b, fd=False)
    yield case("mul_large_gate", "Mul", {"a": normal("mg", 3, 5, 1500), "b": normal("mh", 3, 5, 1)},
               lambda a, b: a * b, fd=False)
    yield case("add_large_bias", "Add", {"a": normal("al", 70, 300), "b": normal("ab", 300)},
               lambda a, b: a + b, fd=False)
    yield case("add_twice", "Add", {"x": normal("twice", 3, 4)}, lambda x: x + x,
               nodes=[("Add", ["x", "x"], ["y"], {})])
    yield case("mul_twice", "Mul", {"x": normal("twice", 3, 4)}, lambda x: x * x,
               nodes=[("Mul", ["x", "x"], ["y"], {})])
    yield failure("add_mismatch", "Add", {"a": normal("m", 2, 3), "b": normal("m", 4)}, "SHAPE")
    yield failure("add_types", "Add", {"a": normal("m", 3), "b": ints(1, 2, 3)}, "MODEL")


def legacy():
    """Before opset 7: attributes broadcast and axis."""
    shape = (2, 3, 4, 5)
    for op, forward in FUNCTIONS.items():
        for axis, extent in ((0, (2,)), (1, (3,)), (1, (3, 4)), (2, (4, 5)), (None, (4, 5))):
            name = f"{op.lower()}_opset6_axis{axis}_{len(extent)}"
            b = np.abs(normal(name + "b", *extent)) + np.float32(0.5)
            a = np.abs(normal(name + "a", *shape)) + np.float32(0.5)
            behind = 0 if axis is None else 4 - axis - len(extent)
            attrs = {"broadcast": 1} if axis is None else {"broadcast": 1, "axis": axis}
            yield case(name, op, {"a": a, "b": b}, lambda a, b, n=behind, f=forward:
                       f(a, b.reshape(tuple(b.shape) + (1,) * n)), opset=6, attrs=attrs)
    yield failure("add_opset6_axis3_2", "Add", {"a": normal("l", *shape), "b": normal("l", 5, 1)},
                  "SHAPE", opset=6, attrs={"broadcast": 1, "axis": 3})
    a, b = normal("cmp6a", *shape), normal("cmp6b", 3)
    for op, forward in (("Less", torch.lt), ("Greater", torch.gt)):
        yield case(f"{op.lower()}_opset6", op, {"a": a, "b": b},
                   lambda a, b, f=forward: f(a, b.reshape(3, 1, 1)), opset=6,
                   attrs={"broadcast": 1, "axis": 1})
    yield case("equal_opset6", "Equal", {"a": ints([[1, 2], [3, 4], [5, 3]]), "b": ints(1, 4, 3)},
               lambda a, b: a == b.reshape(3, 1), opset=6, attrs={"broadcast": 1, "axis": 0})
    for op, forward in (("And", torch.logical_and), ("Or", torch.logical_or),
                        ("Xor", torch.logical_xor)):
        yield case(f"{op.lower()}_opset6", op, {"a": a > 0, "b": b > 0},
                   lambda a, b, f=forward: f(a, b.reshape(3, 1, 1)), opset=6,
                   attrs={"broadcast": 1, "axis": 1})


def integers():
    a, b = ints(-7, 7, -7, 7, 0, 9), ints(2, 2, -2, -2, 3, -1)
    trunc = lambda a, b: torch.div(a, b, rounding_mode="trunc")
    yield case("add_int", "Add", {"a": a, "b": b}, torch.add)
    yield case("sub_int", "Sub", {"a": a, "b": ints(3)}, torch.sub)
    yield case("mul_int", "Mul", {"a": a.reshape(2, 3), "b": ints(1, -2, 3)}, torch.mul)
    yield case("div_int", "Div", {"a": a, "b": b}, trunc)
    yield case("div_int_lowest", "Div", {"a": ints(-2**63, -2**63), "b": ints(-1, 1)},
               lambda a, b: torch.tensor([-2**63, -2**63]))
    yield failure("div_int_zero", "Div", {"a": a, "b": ints(0)}, "NUMERIC")
    yield case("add_int32_wraps", "Add", {"a": ints(2**31 - 1, dtype=np.int32),
                                          "b": ints(1, dtype=np.int32)},
               lambda a, b: torch.tensor([-2**31]))
    yield case("sub_uint8_wraps", "Sub", {"a": ints(3, 9, dtype=np.uint8),
                                          "b": ints(5, 2, dtype=np.uint8)},
               lambda a, b: torch.tensor([254, 7]), opset=14)
    yield case("mod_int", "Mod", {"a": a, "b": b}, torch.remainder, attrs={})
    yield case("mod_int_fmod", "Mod", {"a": a, "b": b}, torch.fmod, attrs={"fmod": 1})
    yield failure("mod_int_zero", "Mod", {"a": a, "b": ints(0)}, "NUMERIC")
    yield case("pow_int", "Pow", {"a": ints(-3, -1, 0, 2, 5), "b": ints(3, 7, 0, 10, 2)}, torch.pow)
    yield case("pow_int_negative", "Pow", {"a": ints(1, -1, -1, 3), "b": ints(-2, -2, -3, -1)},
               lambda a, b: torch.tensor([1, 1, -1, 0]))
    yield case("pow_int_float", "Pow", {"a": ints(2, 9, 3), "b": np.array([3, 0.5, 2], np.float32)},
               lambda a, b: torch.tensor([8, 3, 9]))
    yield case("min_int", "Min", {"a": a, "b": b}, torch.minimum)
    yield case("max_int", "Max", {"a": a, "b": ints(1), "c": b},
               lambda a, b, c: torch.maximum(torch.maximum(a, b), c))


def powers():
    positive = uniform("pow_pos", 0.2, 3, 2, 3, 4)
    for exponent in (2, 3, 0.5, -1, 0, 1, 1.7):
        tag = str(exponent).replace(".", "_").replace("-", "m")
        yield case(f"pow_scalar_{tag}", "Pow", {"a": positive, "b": scalar(exponent)},
                   lambda a, b, e=exponent: a ** e, constants=["b"])
    yield case("pow_square_negative", "Pow", {"a": normal("psn", 3, 4), "b": scalar(2)},
               lambda a, b: a ** 2, constants=["b"])
    yield case("pow_int_exponent", "Pow", {"a": normal("pie", 3, 4), "b": ints(0, 1, 2, 3)},
               lambda a, b: a ** b, constants=["b"])
    yield case("pow_zero_base", "Pow", {"a": np.array([0, 0, 0, 2], np.float32),
                                        "b": np.array([0, 1, 2, 0], np.float32)}, torch.pow,
               fd=False)


def mods():
    a, b = uniform("moda", 5.1, 9.9, 3, 4), uniform("modb", 2.3, 2.5, 4)
    yield case("mod_float", "Mod", {"a": a, "b": b}, torch.fmod, attrs={"fmod": 1})
    yield case("mod_float_signs", "Mod", {"a": np.array([-7.5, 7.5, -7.5], np.float32),
                                          "b": np.array([2, -2, -2], np.float32)},
               lambda a, b: torch.fmod(a, b), attrs={"fmod": 1})
    yield failure("mod_float_python", "Mod", {"a": a, "b": b}, "MODEL")


def variadic():
    def chain(function):
        def forward(*tensors):
            result = tensors[0]
            for tensor in tensors[1:]:
                result = function(result, tensor)
            return result
        return forward

    def mean(*tensors):
        return chain(torch.add)(*tensors) / len(tensors)

    for op, forward in (("Sum", chain(torch.add)), ("Mean", mean), ("Min", chain(torch.minimum)),
                        ("Max", chain(torch.maximum))):
        shapes = [(2, 3, 4), (4,), (1, 3, 1), (2, 1, 1)]
        for count in (1, 2, 3, 4):
            name = f"{op.lower()}_{count}"
            yield case(name, op, {f"x{i}": normal(f"{name}{i}", *shapes[i]) for i in range(count)},
                       lambda *t, f=forward: f(*t) * 1)
        yield case(f"{op.lower()}_grows", op, {"a": normal(op + "a", 4), "b": normal(op + "b", 3, 1)},
                   forward)
        yield case(f"{op.lower()}_opset6", op, {"a": normal(op + "a", 4), "b": normal(op + "c", 4)},
                   forward, opset=6)
        yield case(f"{op.lower()}_same_twice", op, {"x": normal(op + "t", 3, 4)},
                   lambda x, f=forward: f(x, x, x), nodes=[(op, ["x", "x", "x"], ["y"], {})],
                   fd=op in ("Sum", "Mean"))
    ties = {"a": np.array([1, 2, 3], np.float32), "b": np.array([1, 0, 3], np.float32)}
    yield case("max_ties", "Max", ties, torch.maximum, fd=False)
    yield case("min_ties", "Min", ties, torch.minimum, fd=False)
    nan = {"a": np.array([1, np.nan, 3], np.float32), "b": np.array([np.nan, 0, 4], np.float32)}
    yield case("max_nan", "Max", nan, torch.maximum, grads=[])
    yield case("min_nan", "Min", nan, torch.minimum, grads=[])


def comparisons():
    table = {"Equal": torch.eq, "Less": torch.lt, "LessOrEqual": torch.le, "Greater": torch.gt,
             "GreaterOrEqual": torch.ge}
    for op, forward in table.items():
        rng = generator(op)
        for pattern in ("same", "scalar", "gate", "both"):
            a, b = (rng.integers(-2, 3, shape) for shape in PATTERNS[pattern])
            yield case(f"{op.lower()}_{pattern}", op, {"a": np.asarray(a, np.float32),
                                                       "b": np.asarray(b, np.float32)}, forward)
            yield case(f"{op.lower()}_{pattern}_int", op, {"a": np.asarray(a), "b": np.asarray(b)},
                       forward)
    for op, forward in (("And", torch.logical_and), ("Or", torch.logical_or),
                        ("Xor", torch.logical_xor)):
        a, b = generator(op).integers(0, 2, (2, 3, 4)) > 0, generator(op).integers(0, 2, (3, 1)) > 0
        yield case(op.lower(), op, {"a": a, "b": b}, forward)
    yield case("equal_bool", "Equal", {"a": np.array([True, False]), "b": np.array([True, True])},
               torch.eq)
    yield case("not", "Not", {"a": np.array([True, False, True])}, torch.logical_not)
    infinite = {"a": np.array([1, np.nan, np.inf, -np.inf], np.float32)}
    yield case("is_inf", "IsInf", infinite, torch.isinf)
    yield case("is_inf_positive", "IsInf", infinite, torch.isposinf, attrs={"detect_negative": 0})
    yield case("is_inf_negative", "IsInf", infinite, torch.isneginf, attrs={"detect_positive": 0})
    yield case("is_nan", "IsNaN", {"a": np.array([1, np.nan, np.inf], np.float32)}, torch.isnan)
    yield failure("and_float", "And", {"a": normal("f", 2), "b": normal("f", 2)}, "MODEL")


def wheres():
    for name, shapes in {
        "same": ((2, 3), (2, 3), (2, 3)),
        "scalars": ((2, 3), (), ()),
        "condition_small": ((3, 1), (2, 3, 4), (2, 3, 4)),
        "all_differ": ((2, 1, 1), (3, 1), (4,)),
    }.items():
        rng = generator("where" + name)
        condition = np.asarray(rng.integers(0, 2, shapes[0]) > 0)
        yield case(f"where_{name}", "Where",
                   {"c": condition, "a": normal(name + "wa", *shapes[1]),
                    "b": normal(name + "wb", *shapes[2])}, torch.where)
    yield case("where_int", "Where", {"c": np.array([True, False, True]), "a": ints(1, 2, 3),
                                      "b": ints(7)}, torch.where)


def cases():
    yield from floats()
    yield from legacy()
    yield from integers()
    yield from powers()
    yield from mods()
    yield from variadic()
    yield from comparisons()
    yield from wheres()
