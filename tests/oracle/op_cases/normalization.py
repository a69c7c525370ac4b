# SPDX-License-Identifier: Apache-2.0
"""BatchNormalization, Layer-, Instance-, GroupNormalization, LRN, LpNormalization."""

import numpy as np
import torch
import torch.nn.functional as F

from op_case import away_from, case, failure, normal, uniform


def batch(name, shape, fed=False, opset=17, **attrs):
    channels = shape[1] if len(shape) > 1 else 1
    inputs = {"x": normal(name + "x", *shape), "scale": normal(name + "s", channels),
              "bias": normal(name + "b", channels), "mean": normal(name + "m", channels),
              "var": uniform(name + "v", 0.2, 2, channels)}
    epsilon = attrs.get("epsilon", 1e-5)
    return case(name, "BatchNormalization", inputs,
                lambda x, s, b, m, v: F.batch_norm(x, m, v, s, b, False, 0, epsilon),
                attrs=attrs, opset=opset, grads=["x"],
                constants=() if fed else ["scale", "bias", "mean", "var"])


def batches():
    yield batch("batch_norm", (2, 3, 4, 5))
    yield batch("batch_norm_fed", (2, 3, 2, 2), fed=True)
    yield batch("batch_norm_epsilon", (2, 3, 4), epsilon=0.1)
    yield batch("batch_norm_rank2", (4, 5))
    yield batch("batch_norm_3d", (1, 2, 2, 3, 2))
    yield batch("batch_norm_opset7", (1, 3, 2, 2), opset=7, momentum=0.5)
    yield batch("batch_norm_opset6", (1, 3, 2, 2), opset=6, is_test=1, momentum=0.5, epsilon=0.01)
    yield batch("batch_norm_opset7_spatial", (1, 3, 2, 2), opset=7, spatial=0)
    yield batch("batch_norm_training_ignored", (2, 3, 2, 2), opset=14, training_mode=1)
    yield batch("batch_norm_many_channels", (1, 19, 2, 2))


def layer(name, shape, axis=None, bias=True, **attrs):
    start = (len(shape) - 1 if axis is None else axis) % len(shape)
    extents = shape[start:]
    inputs = {"x": normal(name + "x", *shape), "scale": normal(name + "s", *extents)}
    if bias:
        inputs["bias"] = normal(name + "b", *extents)
    if axis is not None:
        attrs["axis"] = axis
    return case(name, "LayerNormalization", inputs,
                lambda x, s, b=None: F.layer_norm(x, extents, s, b, attrs.get("epsilon", 1e-5)),
                attrs=attrs, grads=["x"], constants=[k for k in inputs if k != "x"])


def layer_statistics():
    def forward(x, scale, bias):
        mean = x.mean((1, 2), keepdim=True)
        inverse = 1 / torch.sqrt(x.var((1, 2), unbiased=False, keepdim=True) + 1e-5)
        return (x - mean) * inverse * scale + bias, mean, inverse

    inputs = {"x": normal("lnx", 3, 4, 5), "scale": normal("lns", 4, 5),
              "bias": normal("lnb", 4, 5)}
    return case("layer_norm_statistics", "LayerNormalization", inputs, forward,
                attrs={"axis": 1}, outputs=3, grads=[], constants=["scale", "bias"])


def layers():
    yield layer("layer_norm", (2, 3, 6))
    yield layer("layer_norm_no_bias", (2, 3, 6), bias=False)
    yield layer("layer_norm_axis", (2, 3, 4, 2), axis=2, epsilon=1e-2)
    yield layer("layer_norm_axis_negative", (2, 3, 4, 2), axis=-3)
    yield layer("layer_norm_all", (3, 4), axis=0)
    yield layer_statistics()
    big = normal("offset", 2, 64) + 1000
    yield case("layer_norm_offset", "LayerNormalization",
               {"x": big.astype(np.float32), "scale": np.ones(64, np.float32)},
               lambda x, s: F.layer_norm(x, (64,), s), grads=["x"], constants=["scale"], fd=False)


def groups():
    def inputs(name, shape, extent):
        return {"x": normal(name + "x", *shape), "scale": normal(name + "s", extent),
                "bias": normal(name + "b", extent)}

    for name, shape in (("instance_norm", (2, 3, 4, 3)), ("instance_norm_1d", (2, 3, 6)),
                        ("instance_norm_3d", (1, 2, 2, 3, 2))):
        yield case(name, "InstanceNormalization", inputs(name, shape, shape[1]),
                   lambda x, s, b: F.instance_norm(x, None, None, s, b, eps=1e-2),
                   attrs={"epsilon": 1e-2}, grads=["x"], constants=["scale", "bias"])
    for name, shape, count in (("group_norm", (2, 6, 3, 2), 3), ("group_norm_one", (2, 4, 5), 1),
                               ("group_norm_channels", (1, 4, 2, 2, 2), 4)):
        yield case(name, "GroupNormalization", inputs(name, shape, shape[1]),
                   lambda x, s, b: F.group_norm(x, count, s, b), opset=21, check=False,
                   attrs={"num_groups": count}, grads=["x"], constants=["scale", "bias"])
        yield case(name + "_epsilon", "GroupNormalization", inputs(name, shape, shape[1]),
                   lambda x, s, b: F.group_norm(x, count, s, b, 0.3), opset=21, check=False,
                   attrs={"num_groups": count, "epsilon": 0.3}, grads=["x"],
                   constants=["scale", "bias"])
        yield case(name + "_opset18", "GroupNormalization", inputs(name, shape, count),
                   lambda x, s, b: F.group_norm(x, count, s.repeat_interleave(shape[1] // count),
                                                b.repeat_interleave(shape[1] // count)),
                   attrs={"num_groups": count}, grads=["x"], constants=["scale", "bias"],
                   opset=18, check=False)


def lrn(name, shape, size, **attrs):
    """ONNX puts the larger half of an even neighbourhood behind."""
    alpha, beta, bias = (attrs.get(k, d) for k, d in (("alpha", 1e-4), ("beta", 0.75),
                                                      ("bias", 1.0)))

    def forward(x):
        squares = F.pad((x * x).movedim(1, -1), ((size - 1) // 2, size // 2))
        return x / (bias + alpha / size * squares.unfold(-1, size, 1).sum(-1)
                    .movedim(-1, 1)) ** beta

    def checked(x):
        y = forward(x)
        if size % 2 and x.dim() > 2:
            assert torch.allclose(y, F.local_response_norm(x, size, alpha, beta, bias))
        return y

    return case(name, "LRN", {"x": normal(name, *shape)}, checked, attrs=dict(attrs, size=size))


def lrns():
    yield lrn("lrn", (2, 7, 3, 2), 5, alpha=0.5)
    yield lrn("lrn_alexnet", (1, 8, 2, 2), 5)
    yield lrn("lrn_even", (1, 6, 2, 3), 4, alpha=0.7, bias=2.0)
    yield lrn("lrn_beta", (1, 5, 3), 3, alpha=1.5, beta=0.6, bias=1.5)
    yield lrn("lrn_wide", (1, 3, 2, 2), 9, alpha=0.5)
    yield lrn("lrn_one", (2, 3), 1, alpha=0.9)


def lps():
    for p, axis in ((2, -1), (1, 1), (2, 0), (1, -1)):
        yield case(f"lp_normalization_{p}_{axis % 3}", "LpNormalization",
                   {"x": away_from(normal("lp", 3, 4, 5), 0)},
                   lambda x: F.normalize(x, p, axis, eps=0), attrs={"p": p, "axis": axis})
    yield case("lp_normalization_default", "LpNormalization", {"x": normal("lpd", 3, 4)},
               lambda x: F.normalize(x, 2, -1, eps=0))


def refused():
    x = normal("norm", 2, 6, 3, 3)
    short, right = normal("short", 5), normal("right", 6)
    yield failure("batch_norm_bad_scale", "BatchNormalization",
                  {"x": x, "s": short, "b": right, "m": right, "v": right}, "SHAPE",
                  constants=["s", "b", "m", "v"])
    yield failure("layer_norm_bad_scale", "LayerNormalization", {"x": x, "s": right}, "SHAPE",
                  constants=["s"])
    yield failure("layer_norm_bad_axis", "LayerNormalization", {"x": x, "s": right}, "MODEL",
                  attrs={"axis": 4}, constants=["s"])
    yield failure("group_norm_bad_count", "GroupNormalization", {"x": x, "s": right, "b": right},
                  "SHAPE", attrs={"num_groups": 4}, opset=21, constants=["s", "b"])
    yield failure("instance_norm_bad_bias", "InstanceNormalization",
                  {"x": x, "s": right, "b": short}, "SHAPE", constants=["s", "b"])
    yield failure("lrn_bad_size", "LRN", {"x": x}, "MODEL", attrs={"size": 0})
    yield failure("lp_normalization_bad_p", "LpNormalization", {"x": x}, "MODEL", attrs={"p": 3})


def cases():
    yield from batches()
    yield from layers()
    yield from groups()
    yield from lrns()
    yield from lps()
    yield from refused()
