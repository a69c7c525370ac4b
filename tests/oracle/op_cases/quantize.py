# SPDX-License-Identifier: Apache-2.0
"""Quantisation, by its definition; gradients straight-through, as PyTorch's fake_quantize has them.

Quantised tensors are carried as floats, so expected values of that kind are floats here.
"""

import numpy as np
import torch
import torch.nn.functional as F

from op_case import case, failure, ints, normal, scalar, uniform

RANGES = {np.dtype(np.uint8): (0, 255), np.dtype(np.int8): (-128, 127),
          np.dtype(np.uint16): (0, 65535), np.dtype(np.int16): (-32768, 32767)}
MICROSOFT = "com.microsoft"


def along(parameter, x, axis):
    """A parameter as it broadcasts against x."""
    if parameter is None:
        return torch.zeros(())
    if parameter.dim() == 1 and parameter.numel() > 1:
        shape = [1] * x.dim()
        shape[axis] = -1
        return parameter.reshape(shape).double()
    return parameter.double() if parameter.numel() > 1 else parameter.reshape(()).double()


def blocked(parameter, x, axis, block):
    if parameter is None:
        return torch.zeros(())
    return parameter.double().repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])


def quantize(x, scale, zero, limits, axis=1, block=0):
    place = (lambda p: blocked(p, x, axis, block)) if block else (lambda p: along(p, x, axis))
    scale, zero = place(scale).detach(), place(zero)
    ratio = x.double() / scale
    rounded = ratio + (torch.round(ratio) - ratio).detach()
    return torch.clamp(rounded + zero, *limits)


def dequantize(q, scale, zero, axis=1, block=0):
    place = (lambda p: blocked(p, q, axis, block)) if block else (lambda p: along(p, q, axis))
    return (q.double() - place(zero)) * place(scale).detach()


def random(name, dtype, *shape):
    low, high = RANGES[np.dtype(dtype)] if np.dtype(dtype) in RANGES else (-3000, 3000)
    return np.floor(uniform(name, low, high + 1, *shape)).astype(dtype)


X = normal("quantize", 2, 3, 4, 5, scale=2.0)


def q_case(name, scale, zero, dtype=np.uint8, x=X, axis=None, block=0, opset=13, check=True,
           constants=("scale", "zero"), grads=("x",), **attrs):
    if axis is not None:
        attrs["axis"] = axis
    if block:
        attrs["block_size"] = block
    inputs = {"x": x, "scale": scale, "zero": zero}
    return case(name, "QuantizeLinear", inputs,
                lambda v, s, z: quantize(v, s, z, RANGES[np.dtype(dtype)],
                                         1 if axis is None else axis, block),
                attrs=attrs, constants=constants, grads=grads, fd=False, opset=opset, check=check)


def quantize_linear():
    u8, i8 = np.uint8, np.int8
    f = np.float32
    yield q_case("quantize_uint8", scalar(0.03), scalar(100, u8))
    yield q_case("quantize_int8", scalar(0.02), scalar(-5, i8), i8)
    yield q_case("quantize_no_zero", scalar(0.05), None)
    yield q_case("quantize_opset10", scalar(0.03), scalar(7, u8), opset=10)
    yield q_case("quantize_saturates", scalar(0.005), scalar(128, u8))
    yield q_case("quantize_one_element", np.array([0.03], f), np.array([3], u8))
    yield q_case("quantize_rank1", scalar(0.03), scalar(3, u8), x=normal("q1", 9))
    yield q_case("quantize_scalar", scalar(0.03), scalar(3, u8), x=scalar(0.4))
    yield q_case("quantize_ties", scalar(0.5), scalar(3, u8),
                 x=np.arange(-3, 3, 0.25, dtype=f).reshape(2, 12))
    yield q_case("quantize_axis_default", np.array([0.02, 0.03, 0.05], f), np.array([1, 100, 255], u8))
    yield q_case("quantize_axis0", np.array([0.02, 0.05], f), np.array([-3, 4], i8), i8, axis=0)
    yield q_case("quantize_axis_negative", np.linspace(0.02, 0.06, 5).astype(f),
                 np.arange(5).astype(i8), i8, axis=-1)
    yield q_case("quantize_axis_no_zero", np.array([0.02, 0.03, 0.05], f), None)
    yield q_case("quantize_given_parameters", scalar(0.03), scalar(100, u8), constants=())
    yield q_case("quantize_int16", scalar(0.0007), scalar(12, np.int16), np.int16, opset=21,
                 check=False)
    yield q_case("quantize_uint16", scalar(0.0007), scalar(30000, np.uint16), np.uint16, opset=21,
                 check=False)
    yield q_case("quantize_output_dtype", scalar(0.03), None, i8, opset=21, check=False,
                 output_dtype=3)
    yield q_case("quantize_saturate_attribute", scalar(0.03), scalar(9, u8), opset=19, check=False,
                 saturate=0)
    yield q_case("quantize_blocked", uniform("qb", 0.02, 0.06, 2, 2, 4, 5),
                 random("qbz", i8, 2, 2, 4, 5), i8, axis=1, block=2, opset=21, check=False)
    yield q_case("quantize_blocked_last", uniform("ql", 0.02, 0.06, 2, 3, 4, 3), None, axis=-1,
                 block=2, opset=21, check=False)
    yield case("quantize_int32", "QuantizeLinear",
               {"x": random("q32", np.int32, 3, 4), "scale": scalar(17.0), "zero": scalar(100, u8)},
               lambda v, s, z: quantize(v, s, z, (0, 255)), constants=("scale", "zero"), opset=13)
    yield case("quantize_microsoft", "QuantizeLinear",
               {"x": X, "scale": scalar(0.0007), "zero": scalar(9, np.uint16)},
               lambda v, s, z: quantize(v, s, z, (0, 65535)), constants=("scale", "zero"),
               domain=MICROSOFT, check=False, fd=False)
    bad = {"x": X, "scale": scalar(0.03), "zero": scalar(1, u8)}
    for name, change, attrs, status in (
            ("quantize_bad_extent", {"scale": np.array([1, 2], f)}, {}, "SHAPE"),
            ("quantize_bad_zero_extent", {"zero": np.array([1, 2], u8)}, {}, "SHAPE"),
            ("quantize_bad_axis", {"scale": np.array([1, 2, 3], f)}, {"axis": 4}, "MODEL"),
            ("quantize_bad_block", {}, {"block_size": -1}, "MODEL"),
            ("quantize_bad_block_extent", {}, {"block_size": 2}, "SHAPE"),
            ("quantize_float8", {"zero": None}, {"output_dtype": 17}, "UNSUPPORTED"),
            ("quantize_integer_scale", {"scale": ints(3)}, {}, "MODEL")):
        yield failure(name, "QuantizeLinear", {**bad, **change}, status, attrs=attrs, opset=21,
                      constants=("scale", "zero"))


def d_case(name, q, scale, zero, axis=None, block=0, opset=13, check=True, domain="", **attrs):
    if axis is not None:
        attrs["axis"] = axis
    if block:
        attrs["block_size"] = block
    return case(name, "DequantizeLinear", {"q": q, "scale": scale, "zero": zero},
                lambda v, s, z: dequantize(v, s, z, 1 if axis is None else axis, block),
                attrs=attrs, constants=("scale", "zero"), opset=opset, check=check, domain=domain)


def dequantize_linear():
    u8, i8, i32 = np.uint8, np.int8, np.int32
    f = np.float32
    yield d_case("dequantize_uint8", random("du8", u8, 2, 3, 4), scalar(0.03), scalar(100, u8))
    yield d_case("dequantize_int8", random("di8", i8, 2, 3, 4), scalar(0.03), scalar(-7, i8))
    yield d_case("dequantize_int32", random("di32", i32, 7), scalar(0.0003), None)
    yield d_case("dequantize_int32_zero", random("di32z", i32, 7), scalar(0.0003), scalar(0, i32))
    yield d_case("dequantize_opset10", random("d10", u8, 5), scalar(0.03), scalar(9, u8), opset=10)
    yield d_case("dequantize_axis_default", random("dad", i8, 2, 3, 4),
                 np.array([0.1, 0.2, 0.3], f), np.array([1, -2, 3], i8))
    yield d_case("dequantize_axis0", random("da0", i8, 3, 2, 3, 3), np.array([0.1, 0.2, 0.3], f),
                 np.array([1, -2, 3], i8), axis=0)
    yield d_case("dequantize_axis_negative", random("dan", u8, 2, 3, 4),
                 np.array([0.1, 0.2, 0.3, 0.4], f), None, axis=-1)
    yield d_case("dequantize_int16", random("di16", np.int16, 2, 3), scalar(0.001),
                 scalar(-1234, np.int16), opset=21, check=False)
    yield d_case("dequantize_blocked", random("db", i8, 4, 6), uniform("dbs", 0.1, 0.3, 4, 2),
                 random("dbz", i8, 4, 2), axis=1, block=3, opset=21, check=False)
    yield d_case("dequantize_blocked_uneven", random("dbu", u8, 5, 3), uniform("dbus", 0.1, 0.3, 3, 3),
                 None, axis=0, block=2, opset=21, check=False)
    yield d_case("dequantize_microsoft", random("dm", np.uint16, 2, 3), scalar(0.001),
                 scalar(1234, np.uint16), check=False, domain=MICROSOFT)
    yield case("dequantize_carried", "DequantizeLinear",
               {"q": random("dc", u8, 2, 3, 4).astype(f), "scale": scalar(0.03),
                "zero": scalar(100, u8)}, dequantize, constants=("scale", "zero"), check=False)
    yield failure("dequantize_bad_extent", "DequantizeLinear",
                  {"q": random("dx", u8, 2, 3), "scale": np.array([1, 2], f)}, "SHAPE", opset=13)


def pair(name, x, scale, zero, limits, shape_op=None, attrs=None, constants=(), extra=None,
         middle=lambda q: q, domain=""):
    """x is quantised, something is done with it, and it is dequantised by two readers."""
    inputs = {"x": x, "scale": scale, "zero": zero, **(extra or {})}
    nodes = [("QuantizeLinear", ["x", "scale", "zero"], ["q"], {}, domain)]
    last = "q"
    if shape_op:
        nodes.append((shape_op, ["q", *(extra or {})], ["m"], attrs or {}))
        last = "m"
    nodes += [("DequantizeLinear", [last, "scale", "zero"], ["d"], {}, domain),
              ("DequantizeLinear", [last, "scale", "zero"], ["e"], {}, domain),
              ("Mul", ["d", "e"], ["y"], {})]

    def forward(v, s, z, *rest):
        d = dequantize(middle(quantize(v, s, z, limits)), s, z)
        return d * d

    return case(name, None, inputs, forward, nodes=nodes, fd=False, grads=["x"],
                constants=("scale", "zero", *(extra or {})), domain=domain, check=not domain)


def pairs():
    u8 = np.uint8
    s, z = scalar(0.04), scalar(60, u8)
    yield pair("quantize_pair", X, s, z, (0, 255))
    yield pair("quantize_pair_int8", X, scalar(0.01), scalar(-3, np.int8), (-128, 127))
    yield pair("quantize_pair_microsoft", X, scalar(0.0007), scalar(30000, np.uint16), (0, 65535),
               domain=MICROSOFT)
    yield pair("quantize_pair_axis", X, np.array([0.02, 0.03, 0.05], np.float32),
               np.array([1, 100, 255], u8), (0, 255))
    yield pair("quantize_max_pool", X, s, z, (0, 255), "MaxPool", {"kernel_shape": [2, 2]},
               middle=lambda q: F.max_pool2d(q, 2, 1))
    yield pair("quantize_transpose", X, s, z, (0, 255), "Transpose", {"perm": [0, 1, 3, 2]},
               middle=lambda q: q.transpose(2, 3))
    yield pair("quantize_pad", X, s, z, (0, 255), "Pad",
               extra={"pads": ints(0, 0, 1, 1, 0, 0, 1, 1), "value": scalar(60, u8)},
               middle=lambda q: F.pad(q, (1, 1, 1, 1), value=60.0))
    yield pair("quantize_clip", X, s, z, (0, 255), "Clip",
               extra={"low": scalar(60, u8), "high": scalar(120, u8)},
               middle=lambda q: torch.where((q > 60) & (q < 120), q, q.detach().clamp(60, 120)))


def dynamic():
    def forward(x):
        low, high = x.detach().min().clamp(max=0), x.detach().max().clamp(min=0)
        scale = ((high.float() - low.float()) / 255).double()
        zero = torch.round((-low / scale).clamp(0, 255))
        return quantize(x, scale, zero, (0, 255)), scale, zero.long()

    for name, x in (("dynamic_quantize", X), ("dynamic_quantize_positive", np.abs(X) + 1),
                    ("dynamic_quantize_negative", -np.abs(X) - 1)):
        yield case(name, "DynamicQuantizeLinear", {"x": x}, forward, outputs=["y", "scale", "zero"],
                   fd=False)
    yield case("dynamic_quantize_product", None, {"x": X.reshape(6, 20),
                                                  "w": random("dqp", np.int8, 20, 4),
                                                  "w_scale": scalar(0.02)},
               lambda x, w, s: dequantize(*forward(x)) @ w.double() * s,
               nodes=[("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"], {}),
                      ("MatMulInteger", ["q", "w", "zero"], ["i"], {}),
                      ("Cast", ["i"], ["f"], {"to": 1}),
                      ("Mul", ["scale", "w_scale"], ["s"], {}),
                      ("Mul", ["f", "s"], ["y"], {})],
               constants=("w", "w_scale"), grads=["x"], fd=False)
    yield case("dynamic_quantize_convolution", None,
               {"x": X, "w": random("dqc", np.int8, 4, 3, 2, 2), "zero_w": scalar(3, np.int8)},
               lambda x, w, z: F.conv2d(dequantize(*forward(x)), w.double() - z),
               nodes=[("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"], {}),
                      ("ConvInteger", ["q", "w", "zero", "zero_w"], ["i"], {}),
                      ("Cast", ["i"], ["f"], {"to": 1}),
                      ("Mul", ["f", "scale"], ["y"], {})],
               constants=("w", "zero_w"), grads=["x"], fd=False)


# ---- The QLinear family: dequantise, compute, quantise ---------------------------------------------

U8 = (0, 255)


def parameters(name, dtype, count=None):
    shape = () if count is None else (count,)
    return (uniform(name + "s", 0.01, 0.04, *shape),
            np.asarray(np.floor(uniform(name + "z", -5, 6, *shape)) +
                       (0 if np.dtype(dtype) == np.int8 else 100), dtype))


def qconv(name, w_shape, attrs=None, run=None, w_dtype=np.int8, w_count=None, bias=False,
          chain=False, domain="", x_shape=(1, 4, 6, 5)):
    attrs = attrs or {}
    xs, xz = parameters(name + "x", np.uint8)
    ws, wz = parameters(name + "w", w_dtype, w_count)
    ys, yz = scalar(0.35), scalar(120, np.uint8)
    w = random(name + "weights", w_dtype, *w_shape)
    b = random(name + "bias", np.int32, w_shape[0]) if bias else None
    run = run or (lambda v, k, c: F.conv2d(v, k, c, **{
        {"strides": "stride", "group": "groups", "dilations": "dilation"}[a]: n
        for a, n in attrs.items()}))

    def compute(xr, xsv, wv, wsv, wzv, ysv, yzv, bv=None):
        wr = dequantize(wv, wsv, wzv, 0)
        br = None if bv is None else bv.double() * (xsv * wsv)
        return quantize(run(xr, wr, br), ysv, yzv, U8)

    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"] + (["b"] if bias else [])
    held = {"xs": xs, "xz": xz, "w": w, "ws": ws, "wz": wz, "ys": ys, "yz": yz}
    if bias:
        held["b"] = b
    if not chain:
        return case(name, "QLinearConv", {"x": random(name, np.uint8, *x_shape), **held},
                    lambda x, xsv, xzv, *r: compute(dequantize(x, xsv, xzv), xsv, *r),
                    attrs=attrs, constants=tuple(held), check=not domain, opset=13, domain=domain)
    return case(name, None, {"x": normal(name, *x_shape, scale=0.8), **held},
                lambda x, xsv, xzv, wv, wsv, wzv, ysv, yzv, *r: dequantize(
                    compute(dequantize(quantize(x, xsv, xzv, U8), xsv, xzv), xsv, wv, wsv, wzv, ysv,
                            yzv, *r), ysv, yzv),
                nodes=[("QuantizeLinear", ["x", "xs", "xz"], ["q"], {}),
                       ("QLinearConv", ["q"] + names[1:], ["c"], attrs, domain),
                       ("DequantizeLinear", ["c", "ys", "yz"], ["y"], {})],
                constants=tuple(held), grads=["x"], fd=False, opset=13, domain=domain,
                check=not domain)


def qlinear_conv():
    yield qconv("qlinear_conv", (3, 4, 3, 3))
    yield qconv("qlinear_conv_uint8", (3, 4, 3, 3), w_dtype=np.uint8)
    yield qconv("qlinear_conv_channels", (3, 4, 3, 3), w_count=3, bias=True)
    yield qconv("qlinear_conv_microsoft", (3, 4, 3, 3), domain=MICROSOFT)
    yield qconv("qlinear_conv_attributes", (6, 2, 3, 2), bias=True,
                attrs={"strides": [2, 1], "group": 2, "dilations": [1, 2]})
    yield qconv("qlinear_conv_pads", (3, 4, 3, 3), attrs={"pads": [1, 0, 2, 1],
                                                          "kernel_shape": [3, 3]},
                run=lambda v, k, c: F.conv2d(F.pad(v, (0, 1, 1, 2)), k, c))
    yield qconv("qlinear_conv_same", (3, 4, 3, 3), attrs={"auto_pad": "SAME_UPPER"},
                run=lambda v, k, c: F.conv2d(v, k, c, padding=1))
    yield qconv("qlinear_conv_gradient", (3, 4, 3, 3), bias=True, chain=True)
    yield qconv("qlinear_conv_gradient_microsoft", (3, 4, 3, 3), chain=True, domain=MICROSOFT)
    yield qconv("qlinear_conv_gradient_channels", (8, 1, 3, 3), w_count=8, chain=True,
                attrs={"group": 4})
    broken = {"x": random("qcb", np.uint8, 1, 1, 3, 3), "xs": scalar(1.0), "xz": scalar(0, np.uint8)}
    yield failure("qlinear_conv_missing", "QLinearConv", broken, "MODEL", opset=13)


def integer():
    def product(name, op, x, w, xz, wz, run, attrs=None, w_axis=0, x_axis=-2):
        return case(name, op, {"x": x, "w": w, "xz": xz, "wz": wz},
                    lambda xv, wv, xzv, wzv: run(dequantize(xv, torch.ones(()), xzv, x_axis),
                                                 dequantize(wv, torch.ones(()), wzv, w_axis)),
                    attrs=attrs, constants=("w", "xz", "wz"), opset=13)

    x, w = random("cix", np.uint8, 2, 3, 5, 4), random("ciw", np.int8, 4, 3, 2, 3)
    yield product("conv_integer", "ConvInteger", x, w, scalar(9, np.uint8), scalar(-4, np.int8),
                  F.conv2d)
    yield product("conv_integer_no_zeros", "ConvInteger", x, w, None, None, F.conv2d)
    yield product("conv_integer_channels", "ConvInteger", x, w, scalar(9, np.uint8),
                  np.array([1, -2, 3, -4], np.int8), F.conv2d)
    yield product("conv_integer_attributes", "ConvInteger", x, random("cia", np.int8, 3, 1, 2, 2),
                  None, scalar(3, np.int8),
                  lambda v, k: F.conv2d(F.pad(v, (2, 1, 1, 0)), k, None, (2, 1), 0, (1, 2), 3),
                  attrs={"pads": [1, 2, 0, 1], "strides": [2, 1], "dilations": [1, 2], "group": 3,
                         "kernel_shape": [2, 2]})
    yield product("conv_integer_same", "ConvInteger", x, random("cis", np.int8, 2, 3, 3, 3), None,
                  None, lambda v, k: F.conv2d(v, k, padding=1), attrs={"auto_pad": "SAME_LOWER"})
    a, b = random("mia", np.uint8, 3, 4), random("mib", np.int8, 4, 5)
    yield product("matmul_integer", "MatMulInteger", a, b, scalar(7, np.uint8), scalar(1, np.int8),
                  torch.matmul)
    yield product("matmul_integer_no_zeros", "MatMulInteger", a, b, None, None, torch.matmul)
    yield product("matmul_integer_rows", "MatMulInteger", a, b, np.array([1, 2, 3], np.uint8),
                  np.array([1, 2, 3, 4, 5], np.int8), torch.matmul, w_axis=-1)
    yield product("matmul_integer_batch", "MatMulInteger", random("mibx", np.int8, 2, 3, 4),
                  random("mibw", np.uint8, 2, 4, 2), scalar(7, np.int8), scalar(30, np.uint8),
                  torch.matmul)


def chain(name, op, x, compute, attrs=None, more=(), opset=13, grads=("x",)):
    """A com.microsoft operator between QuantizeLinear and DequantizeLinear. `more` are further
    operands: real arrays that are quantised with parameters of their own."""
    held = {}
    nodes, triples = [], []
    arrays = {"x": x, **{f"m{i}": m for i, m in enumerate(more)}}
    for i, key in enumerate(arrays):
        held[key + "s"], held[key + "z"] = parameters(name + key, np.uint8)
        nodes.append(("QuantizeLinear", [key, key + "s", key + "z"], [key + "q"], {}))
        triples.append([key + "q", key + "s", key + "z"])
    held["ys"], held["yz"] = scalar(0.05), scalar(90, np.uint8)
    order = {"QLinearConcat": lambda: ["ys", "yz"] + sum(triples, []),
             "QLinearWhere": lambda: ["c"] + sum(triples, []) + ["ys", "yz"]}
    operands = order.get(op, lambda: sum(triples, []) + ["ys", "yz"])()
    extra = {"c": normal("where", *x.shape) > 0} if op == "QLinearWhere" else {}
    nodes += [(op, operands, ["c_out"], attrs or {}, MICROSOFT),
              ("DequantizeLinear", ["c_out", "ys", "yz"], ["y"], {})]
    inputs = {**arrays, **held, **extra}
    keys = list(inputs)

    def forward(*tensors):
        t = dict(zip(keys, tensors))
        real = [dequantize(quantize(t[k], t[k + "s"], t[k + "z"], U8), t[k + "s"], t[k + "z"])
                for k in arrays]
        result = compute(*([t["c"]] if extra else []), *real)
        return dequantize(quantize(result, t["ys"], t["yz"], U8), t["ys"], t["yz"])

    return case(name, None, inputs, forward, nodes=nodes, constants=tuple(held) + tuple(extra),
                grads=list(arrays), fd=False, opset=opset, domain=MICROSOFT, check=False)


def microsoft():
    x = normal("qlx", 2, 3, 4, 5)
    y = normal("qly", 2, 3, 4, 5)
    yield chain("qlinear_add", "QLinearAdd", x, torch.add, more=[y])
    yield chain("qlinear_add_broadcast", "QLinearAdd", x, torch.add, more=[normal("qlb", 3, 1, 1)])
    yield chain("qlinear_mul", "QLinearMul", x, torch.mul, more=[y])
    yield chain("qlinear_average_pool", "QLinearAveragePool", x, lambda v: F.avg_pool2d(v, 2, (2, 1)),
                {"kernel_shape": [2, 2], "strides": [2, 1], "channels_last": 0})
    yield chain("qlinear_average_pool_pads", "QLinearAveragePool", x,
                lambda v: F.avg_pool2d(v, 3, 1, 1, count_include_pad=True),
                {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})
    yield chain("qlinear_average_pool_ceil", "QLinearAveragePool", x,
                lambda v: F.avg_pool2d(v, 3, 2, ceil_mode=True),
                {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})
    yield chain("qlinear_average_pool_same", "QLinearAveragePool", x,
                lambda v: F.avg_pool2d(v, 3, 1, 1, count_include_pad=False),
                {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"})
    yield chain("qlinear_global_average_pool", "QLinearGlobalAveragePool", x,
                lambda v: v.mean((2, 3), True), {"channels_last": 0})
    yield chain("qlinear_leaky_relu", "QLinearLeakyRelu", x, lambda v: F.leaky_relu(v, 0.2),
                {"alpha": 0.2})
    yield chain("qlinear_sigmoid", "QLinearSigmoid", x, torch.sigmoid)
    yield chain("qlinear_softmax", "QLinearSoftmax", x, lambda v: v.softmax(1), {"axis": 1,
                                                                                 "opset": 13})
    yield chain("qlinear_softmax_coerced", "QLinearSoftmax", x,
                lambda v: v.flatten(2).softmax(2).reshape(v.shape), {"axis": 2, "opset": 11})
    yield chain("qlinear_reduce_mean", "QLinearReduceMean", x, lambda v: v.mean((2, 3)),
                {"axes": [2, 3], "keepdims": 0})
    yield chain("qlinear_concat", "QLinearConcat", x, lambda *v: torch.cat(v, 1), {"axis": 1},
                more=[y, normal("qlc", 2, 1, 4, 5)])
    yield chain("qlinear_where", "QLinearWhere", x, torch.where, more=[y])
    yield failure("qlinear_channels_last", "QLinearGlobalAveragePool",
                  {"x": random("qlf", np.uint8, 1, 2, 2, 3), "xs": scalar(1.0),
                   "xz": scalar(0, np.uint8), "ys": scalar(1.0), "yz": scalar(0, np.uint8)},
                  "UNSUPPORTED", attrs={"channels_last": 1}, domain=MICROSOFT)
    for name, attrs, shape, quantized in (
            ("qgemm", {}, (20, 4), True), ("qgemm_float", {"alpha": 0.5}, (20, 4), False),
            ("qgemm_transposed", {"transB": 1}, (4, 20), True)):
        yield qgemm(name, attrs, shape, quantized)
    yield qlinear_matmul("qlinear_matmul")
    yield qlinear_matmul("qlinear_matmul_columns", columns=True)


def qgemm(name, attrs, shape, quantized):
    xs, xz = parameters(name + "x", np.uint8)
    ws, wz = parameters(name + "w", np.int8, 4)
    held = {"xs": xs, "xz": xz, "w": random(name, np.int8, *shape), "ws": ws, "wz": wz,
            "b": random(name + "b", np.int32, 4)}
    if quantized:
        held.update(ys=scalar(0.3), yz=scalar(100, np.uint8))
    nodes = [("QuantizeLinear", ["x", "xs", "xz"], ["q"], {}),
             ("QGemm", ["q", *held], ["g" if quantized else "y"], attrs, MICROSOFT)]
    if quantized:
        nodes.append(("DequantizeLinear", ["g", "ys", "yz"], ["y"], {}))

    def forward(x, xsv, xzv, w, wsv, wzv, b, ysv=None, yzv=None):
        flip = attrs.get("transB", 0)
        w = dequantize(w, wsv, wzv, 0 if flip else 1)
        y = attrs.get("alpha", 1.0) * dequantize(quantize(x, xsv, xzv, U8), xsv, xzv) @ \
            (w.t() if flip else w) + b.double() * (xsv * wsv)
        return y if ysv is None else dequantize(quantize(y, ysv, yzv, U8), ysv, yzv)

    return case(name, None, {"x": normal(name, 3, 20), **held}, forward, nodes=nodes,
                constants=tuple(held), grads=["x"], fd=False, opset=13, domain=MICROSOFT, check=False)


def qlinear_matmul(name, columns=False):
    xs, xz = parameters(name + "x", np.uint8)
    ws, wz = parameters(name + "w", np.int8, 4 if columns else None)
    held = {"xs": xs, "xz": xz, "w": random(name, np.int8, 20, 4), "ws": ws, "wz": wz,
            "ys": scalar(0.3), "yz": scalar(100, np.uint8)}

    def forward(x, xsv, xzv, w, wsv, wzv, ysv, yzv):
        y = dequantize(quantize(x, xsv, xzv, U8), xsv, xzv) @ dequantize(w, wsv, wzv, -1)
        return dequantize(quantize(y, ysv, yzv, U8), ysv, yzv)

    return case(name, None, {"x": normal(name, 2, 3, 20), **held}, forward,
                nodes=[("QuantizeLinear", ["x", "xs", "xz"], ["q"], {}),
                       ("QLinearMatMul", ["q", *held], ["m"], {}),
                       ("DequantizeLinear", ["m", "ys", "yz"], ["y"], {})],
                constants=tuple(held), grads=["x"], fd=False, opset=13)


def cases():
    for family in (quantize_linear, dequantize_linear, pairs, dynamic, qlinear_conv, integer,
                   microsoft):
        yield from family()
