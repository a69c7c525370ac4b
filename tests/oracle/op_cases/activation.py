# SPDX-License-Identifier: Apache-2.0
"""Element-wise functions of one input."""

import numpy as np
import torch
import torch.nn.functional as F

from op_case import away_from, case, failure, ints, normal, scalar, uniform

SHAPE = (2, 3, 4, 5)


def spread(name, *kinks):
    return away_from(normal(name, *SHAPE, scale=2.0), *kinks)


def unary(name, op, forward, *kinks, **more):
    x = more.pop("x", None)
    return case(name, op, {"x": spread(name, *kinks) if x is None else x}, forward, **more)


def at_kinks(name, op, forward, kinks, **more):
    near = [k + d for k in kinks for d in (-1e-3, 0, 1e-3)] + [-20.0, 20.0]
    return unary(name, op, forward, x=np.array(near, np.float32), fd=False, **more)


def plain():
    yield unary("relu", "Relu", torch.relu, 0)
    yield at_kinks("relu_kinks", "Relu", torch.relu, [0])
    yield unary("relu_rank1", "Relu", torch.relu, 0, x=away_from(normal("relu1", 7), 0))
    yield unary("relu_scalar", "Relu", torch.relu, x=scalar(1.5))
    yield unary("relu_opset6", "Relu", torch.relu, 0, opset=6)
    yield unary("sigmoid", "Sigmoid", torch.sigmoid)
    yield unary("sigmoid_far", "Sigmoid", torch.sigmoid,
                x=np.array([-120, -60, -20, 0, 20, 60, 120], np.float32))
    yield unary("tanh", "Tanh", torch.tanh)
    yield unary("tanh_far", "Tanh", torch.tanh, x=np.array([-50, -5, 0, 5, 50], np.float32))
    yield unary("erf", "Erf", torch.erf)
    yield unary("exp", "Exp", torch.exp)
    yield unary("log", "Log", torch.log, x=uniform("log", 0.1, 5, *SHAPE))
    yield unary("sqrt", "Sqrt", torch.sqrt, x=uniform("sqrt", 0.1, 5, *SHAPE))
    yield unary("neg", "Neg", torch.neg)
    yield case("neg_int", "Neg", {"x": ints(-3, 0, 7)}, torch.neg)
    yield unary("abs", "Abs", torch.abs, 0)
    yield at_kinks("abs_kinks", "Abs", torch.abs, [0])
    yield case("abs_int", "Abs", {"x": ints(-3, 0, 7)}, torch.abs)
    yield unary("reciprocal", "Reciprocal", torch.reciprocal, x=away_from(normal("rec", 30), 0,
                                                                           margin=0.3))
    yield unary("softplus", "Softplus", F.softplus)
    yield unary("softplus_far", "Softplus", lambda x: torch.log1p(torch.exp(-x.abs())) +
                torch.clamp(x, min=0), x=np.array([-120, -30, 30, 120], np.float32))
    yield unary("softsign", "Softsign", F.softsign, 0)
    yield unary("sin", "Sin", torch.sin)
    yield unary("cos", "Cos", torch.cos)
    yield unary("tan", "Tan", torch.tan, x=uniform("tan", -1.2, 1.2, *SHAPE))
    yield unary("sinh", "Sinh", torch.sinh)
    yield unary("cosh", "Cosh", torch.cosh)
    yield unary("asin", "Asin", torch.asin, x=uniform("asin", -0.9, 0.9, *SHAPE))
    yield unary("acos", "Acos", torch.acos, x=uniform("acos", -0.9, 0.9, *SHAPE))
    yield unary("atan", "Atan", torch.atan)
    yield unary("asinh", "Asinh", torch.asinh)
    yield unary("acosh", "Acosh", torch.acosh, x=uniform("acosh", 1.1, 4, *SHAPE))
    yield unary("atanh", "Atanh", torch.atanh, x=uniform("atanh", -0.9, 0.9, *SHAPE))


def steps():
    grid = np.arange(-4, 4.25, 0.5, dtype=np.float32)
    for op, forward in (("Floor", torch.floor), ("Ceil", torch.ceil), ("Round", torch.round),
                        ("Sign", torch.sign)):
        yield unary(op.lower(), op, forward, *np.arange(-8, 8.5, 0.5))
        yield unary(f"{op.lower()}_grid", op, forward, x=grid, fd=False)
    yield case("sign_int", "Sign", {"x": ints(-3, 0, 7)}, torch.sign)


def shrink(x, lambd=0.5, bias=0.0):
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, 0.0 * x))


def with_attributes():
    yield unary("shrink", "Shrink", shrink, -0.5, 0.5)
    yield unary("shrink_hard", "Shrink", lambda x: F.hardshrink(x, 1.25), -1.25, 1.25,
                attrs={"lambd": 1.25})
    yield unary("shrink_soft", "Shrink", lambda x: F.softshrink(x, 0.75), -0.75, 0.75,
                attrs={"lambd": 0.75, "bias": 0.75})
    yield at_kinks("shrink_kinks", "Shrink", lambda x: shrink(x, 1.0, 0.3), [-1, 1],
                   attrs={"lambd": 1.0, "bias": 0.3})
    yield unary("leaky_relu", "LeakyRelu", lambda x: F.leaky_relu(x, 0.01), 0)
    yield unary("leaky_relu_alpha", "LeakyRelu", lambda x: F.leaky_relu(x, 0.3), 0,
                attrs={"alpha": 0.3})
    yield at_kinks("leaky_relu_kinks", "LeakyRelu", lambda x: F.leaky_relu(x, 0.01), [0])
    yield unary("leaky_relu_opset6", "LeakyRelu", lambda x: F.leaky_relu(x, 0.1), 0,
                attrs={"alpha": 0.1}, opset=6)
    yield unary("elu", "Elu", F.elu, 0)
    yield unary("elu_alpha", "Elu", lambda x: F.elu(x, 0.7), 0, attrs={"alpha": 0.7})
    yield at_kinks("elu_kinks", "Elu", lambda x: F.elu(x, 0.7), [0], attrs={"alpha": 0.7})
    yield unary("selu", "Selu", F.selu, 0)
    yield unary("selu_attrs", "Selu", lambda x: 1.5 * F.elu(x, 2.0), 0,
                attrs={"alpha": 2.0, "gamma": 1.5})
    yield unary("celu", "Celu", F.celu, 0)
    yield unary("celu_alpha", "Celu", lambda x: F.celu(x, 0.6), 0, attrs={"alpha": 0.6})
    yield unary("hard_sigmoid", "HardSigmoid", lambda x: torch.clamp(0.2 * x + 0.5, 0, 1),
                -2.5, 2.5)
    yield unary("hard_sigmoid_torch", "HardSigmoid", F.hardsigmoid, -3, 3,
                attrs={"alpha": 1 / 6})
    yield unary("hard_sigmoid_attrs", "HardSigmoid", lambda x: torch.clamp(0.4 * x + 0.3, 0, 1),
                -0.75, 1.75, attrs={"alpha": 0.4, "beta": 0.3})
    yield at_kinks("hard_sigmoid_kinks", "HardSigmoid", lambda x: F.hardtanh(0.25 * x + 0.5, 0, 1),
                   [-2, 2], attrs={"alpha": 0.25})
    yield unary("hard_swish", "HardSwish", F.hardswish, -3, 3)
    yield at_kinks("hard_swish_kinks", "HardSwish", F.hardswish, [-3, 3])
    yield unary("thresholded_relu", "ThresholdedRelu", lambda x: F.threshold(x, 1.0, 0.0), 1)
    yield unary("thresholded_relu_alpha", "ThresholdedRelu", lambda x: F.threshold(x, 0.4, 0.0),
                0.4, attrs={"alpha": 0.4})
    yield unary("gelu", "Gelu", F.gelu, opset=20, check=False)
    yield unary("gelu_tanh", "Gelu", lambda x: F.gelu(x, approximate="tanh"), opset=20,
                check=False, attrs={"approximate": "tanh"})
    yield unary("mish", "Mish", F.mish, opset=18, check=False)
    yield unary("mish_far", "Mish", F.mish, opset=18, check=False,
                x=np.array([-100, -30, -10, 10, 30, 100], np.float32))


def clips():
    def bounded(name, low, high, **more):
        inputs = {"x": spread(name, *[b for b in (low, high) if b is not None]),
                  "min": None if low is None else scalar(low),
                  "max": None if high is None else scalar(high)}
        return case(name, "Clip", inputs, lambda x, l, h: torch.clamp(x, low, high),
                    constants=[k for k in ("min", "max") if inputs[k] is not None], **more)

    yield bounded("clip", -1.0, 1.5)
    yield bounded("clip_relu6", 0.0, 6.0)
    yield bounded("clip_min", -0.5, None)
    yield bounded("clip_max", None, 0.5)
    yield unary("clip_none", "Clip", lambda x: x.clone())
    yield bounded("clip_opset11", 0.0, 6.0, opset=11)
    yield unary("clip_attrs", "Clip", lambda x: torch.clamp(x, -1, 2), -1, 2, opset=6,
                attrs={"min": -1.0, "max": 2.0})
    yield unary("clip_attr_min", "Clip", lambda x: torch.clamp(x, min=0.25), 0.25, opset=9,
                attrs={"min": 0.25})
    kinks = np.array([-1, -1e-3, 0, 1e-3, 5.999, 6, 6.001], np.float32)
    yield case("clip_kinks", "Clip", {"x": kinks, "min": scalar(0), "max": scalar(6)},
               lambda x, l, h: F.hardtanh(x, 0, 6), constants=["min", "max"], fd=False)
    yield case("clip_int", "Clip", {"x": ints(-5, 0, 3, 9), "min": scalar(-1, np.int64),
                                    "max": scalar(4, np.int64)},
               lambda x, l, h: torch.clamp(x, -1, 4), constants=["min", "max"])
    yield case("clip_computed_bounds", "Clip", {"x": spread("clip_fed", -1, 1), "min": scalar(-1),
                                                "max": scalar(1)}, torch.clamp)
    yield failure("clip_vector_bound", "Clip", {"x": normal("cb", 4), "min": normal("cv", 4)},
                  "MODEL", constants=["min"])


def prelus():
    def prelu(name, slope_shape, **more):
        inputs = {"x": spread(name, 0), "slope": uniform(name + "s", 0.05, 0.5, *slope_shape)}
        return case(name, "PRelu", inputs, lambda x, s: torch.where(x > 0, x, x * s), **more)

    yield prelu("prelu_channel", (3, 1, 1), constants=["slope"])
    yield prelu("prelu_channel4", (1, 3, 1, 1))
    yield prelu("prelu_scalar", ())
    yield prelu("prelu_one", (1,))
    yield prelu("prelu_row", (5,))
    yield prelu("prelu_full", SHAPE)
    yield prelu("prelu_inner", (4, 1))
    x = spread("prelu6", 0)
    slope = uniform("prelu6s", 0.05, 0.5, 3)
    yield case("prelu_opset6", "PRelu", {"x": x, "slope": slope}, F.prelu, opset=6,
               constants=["slope"])


def cases():
    yield from plain()
    yield from steps()
    yield from with_attributes()
    yield from clips()
    yield from prelus()
