# SPDX-License-Identifier: Apache-2.0
"""MaxPool, AveragePool, LpPool and their global forms."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F

from op_case import away_from, case, failure, generator, normal
from windows import pad, resolve_pads

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def distinct(name, *shape):
    """Values far enough apart that finite differences do not change which is the largest."""
    count = math.prod(shape)
    return (generator(name).permutation(count).reshape(shape) * 0.01 - 0.5).astype(np.float32)


def geometry(attrs, extents):
    spatial = len(extents)
    kernel = attrs["kernel_shape"]
    strides = attrs.get("strides", [1] * spatial)
    dilations = attrs.get("dilations", [1] * spatial)
    pads = resolve_pads(attrs, extents, kernel)
    return kernel, strides, dilations, pads


def extent(n, k, s, d, pads, ceil):
    room = n + sum(pads) - (k - 1) * d - 1
    out = (-(-room // s) if ceil else room // s) + 1
    return out - 1 if ceil and (out - 1) * s >= n + pads[0] else out


def windows(attrs, extents):
    """For every output position: the input positions, and how many the divisor counts."""
    kernel, strides, dilations, pads = geometry(attrs, extents)
    outs, axes = [], []
    for n, k, s, d, p in zip(extents, kernel, strides, dilations, pads):
        out = extent(n, k, s, d, p, attrs.get("ceil_mode", 0))
        reached = [[o * s - p[0] + i * d for i in range(k)] for o in range(out)]
        axes.append([([i for i in r if 0 <= i < n], sum(i < n + p[1] for i in r))
                     for r in reached])
        outs.append(out)
    return outs, itertools.product(*axes)


def by_hand(x, attrs, reduce):
    """reduce(values [N, C, count], padded count) over explicit windows."""
    outs, places = windows(attrs, x.shape[2:])
    results = []
    for place in places:
        part = x
        for a, (positions, _) in enumerate(place):
            part = part.index_select(2 + a, torch.tensor(positions, dtype=torch.long))
        results.append(reduce(part.flatten(2), math.prod(c for _, c in place)))
    return torch.stack(results, -1).reshape(*x.shape[:2], *outs)


def by_torch(function, x, attrs, value, **more):
    """PyTorch's own pool on an input padded beforehand."""
    kernel, strides, dilations, pads = geometry(attrs, x.shape[2:])
    if function in MAX.values():
        more["dilation"] = dilations
    return function(pad(x, pads, value), kernel, strides, 0, **more)


def max_pool(name, shape, x=None, opset=17, fd=True, **attrs):
    def forward(x):
        result = by_hand(x, attrs, lambda v, _: v.max(-1).values)
        if not attrs.get("ceil_mode"):
            assert torch.equal(result, by_torch(MAX[len(shape) - 2], x, attrs, -math.inf))
        return result

    x = distinct(name, *shape) if x is None else x
    return case(name, "MaxPool", {"x": x}, forward, attrs=attrs, opset=opset, fd=fd)


def max_pools():
    yield max_pool("max_pool", (2, 3, 6, 6), kernel_shape=[2, 2], strides=[2, 2])
    yield max_pool("max_pool_resnet", (1, 2, 7, 8), kernel_shape=[3, 3], strides=[2, 2],
                   pads=[1, 1, 1, 1])
    yield max_pool("max_pool_overlap", (1, 2, 5, 5), kernel_shape=[3, 3])
    yield max_pool("max_pool_ceil", (1, 2, 6, 6), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    yield max_pool("max_pool_ceil_pads", (1, 1, 6, 7), kernel_shape=[2, 3], strides=[3, 2],
                   pads=[1, 1, 1, 1], ceil_mode=1)
    yield max_pool("max_pool_ceil_dropped", (1, 1, 4, 5), kernel_shape=[1, 2], strides=[4, 4],
                   pads=[0, 1, 0, 1], ceil_mode=1)
    yield max_pool("max_pool_ceil_small", (1, 1, 2, 2), kernel_shape=[3, 3], strides=[2, 2],
                   ceil_mode=1)
    yield max_pool("max_pool_asymmetric", (1, 2, 5, 6), kernel_shape=[3, 3], strides=[2, 2],
                   pads=[0, 0, 2, 1])
    yield max_pool("max_pool_dilation", (1, 2, 7, 8), kernel_shape=[3, 2], dilations=[2, 3],
                   pads=[1, 0, 1, 0])
    yield max_pool("max_pool_1d", (2, 2, 9), kernel_shape=[3], strides=[2], pads=[1, 1])
    yield max_pool("max_pool_3d", (1, 2, 4, 5, 4), kernel_shape=[2, 3, 2], strides=[2, 1, 2],
                   pads=[0, 1, 1, 0, 1, 0])
    yield max_pool("max_pool_opset8", (1, 2, 5, 5), kernel_shape=[3, 3], strides=[2, 2], opset=8)
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield max_pool(f"max_pool_{auto.lower()}", (1, 2, 6, 7), kernel_shape=[3, 2],
                       strides=[2, 2], auto_pad=auto)
    ties = np.array([[1, 1, 0, 2], [1, 1, 2, 2], [0, 3, 3, 0], [3, 0, 0, 3]], np.float32)
    yield case("max_pool_ties", "MaxPool", {"x": ties.reshape(1, 1, 4, 4)},
               lambda x: F.max_pool2d(x, 2, 2), attrs={"kernel_shape": [2, 2], "strides": [2, 2]},
               fd=False)
    yield case("max_pool_ties_overlap", "MaxPool", {"x": ties.reshape(1, 1, 4, 4)},
               lambda x: F.max_pool2d(x, 3, 1, 1),
               attrs={"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, fd=False)
    yield case("max_pool_int", "MaxPool", {"x": ties.reshape(1, 1, 4, 4).astype(np.uint8)},
               lambda x: F.max_pool2d(x.double(), 2, 2).long(), check=False,
               attrs={"kernel_shape": [2, 2], "strides": [2, 2]}, opset=12)
    yield max_pool("max_pool_infinities", (1, 1, 2, 4), fd=False,
                   x=np.array([-np.inf, -np.inf, 1, np.inf, -np.inf, -np.inf, 2, 3], np.float32)
                   .reshape(1, 1, 2, 4), kernel_shape=[2, 2], strides=[2, 2])


def with_indices():
    def flat(x, attrs):
        """Indices over the whole tensor."""
        y, i = F.max_pool2d(x, attrs["kernel_shape"], attrs["strides"], attrs["pads"][:2],
                            return_indices=True)
        planes = torch.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], 1, 1)
        return y, i, planes * (x.shape[2] * x.shape[3])

    def rows_first(x, attrs):
        y, i, offset = flat(x, attrs)
        return y, i + offset

    def columns_first(x, attrs):
        y, i, offset = flat(x, attrs)
        return y, i % x.shape[3] * x.shape[2] + i // x.shape[3] + offset

    x = distinct("indices", 2, 2, 5, 6)
    attrs = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 1, 1, 1]}
    yield case("max_pool_indices", "MaxPool", {"x": x}, lambda x: rows_first(x, attrs),
               attrs=attrs, outputs=2)
    yield case("max_pool_indices_columns", "MaxPool", {"x": x}, lambda x: columns_first(x, attrs),
               attrs=dict(attrs, storage_order=1), outputs=2)


def average_pool(name, shape, opset=17, **attrs):
    def forward(x):
        include = attrs.get("count_include_pad", 0)
        result = by_hand(x, attrs, lambda v, padded:
                         v.sum(-1) / (padded if include else v.shape[-1]))
        return check_average(x, attrs, include, result)

    return case(name, "AveragePool", {"x": normal(name, *shape)}, forward, attrs=attrs,
                opset=opset, check=opset <= 17)


def check_average(x, attrs, include, result):
    """Against PyTorch's own, where it has the like."""
    kernel, strides, dilations, pads = geometry(attrs, x.shape[2:])
    if all(d == 1 for d in dilations) and all(b == e for b, e in pads) and \
            all(2 * p[0] <= k for p, k in zip(pads, kernel)):
        own = AVERAGE[len(kernel)](x, kernel, strides, [p[0] for p in pads],
                                   bool(attrs.get("ceil_mode", 0)), bool(include))
        assert torch.allclose(own, result, rtol=1e-12, atol=1e-12)
    return result


def average_pools():
    yield average_pool("average_pool", (2, 3, 6, 6), kernel_shape=[2, 2], strides=[2, 2])
    yield average_pool("average_pool_pads", (1, 2, 5, 6), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    yield average_pool("average_pool_included", (1, 2, 5, 6), kernel_shape=[3, 3],
                       pads=[1, 1, 1, 1], count_include_pad=1)
    yield average_pool("average_pool_asymmetric", (1, 2, 5, 6), kernel_shape=[3, 2],
                       pads=[0, 1, 2, 0], strides=[2, 1])
    yield average_pool("average_pool_asymmetric_included", (1, 2, 5, 6), kernel_shape=[3, 2],
                       pads=[0, 1, 2, 0], strides=[2, 1], count_include_pad=1)
    for include in (0, 1):
        yield average_pool(f"average_pool_ceil_{include}", (1, 2, 6, 6), kernel_shape=[3, 3],
                           strides=[2, 2], ceil_mode=1, count_include_pad=include)
        yield average_pool(f"average_pool_ceil_pads_{include}", (1, 2, 6, 8), kernel_shape=[3, 4],
                           strides=[2, 3], pads=[1, 2, 1, 2], ceil_mode=1,
                           count_include_pad=include)
        yield average_pool(f"average_pool_ceil_asymmetric_{include}", (1, 1, 6, 7),
                           kernel_shape=[3, 4], strides=[2, 3], pads=[1, 0, 0, 1], ceil_mode=1,
                           count_include_pad=include)
        yield average_pool(f"average_pool_dilation_{include}", (1, 2, 7, 8), kernel_shape=[3, 2],
                           strides=[2, 1], pads=[2, 1, 2, 1], dilations=[2, 3], opset=19,
                           ceil_mode=1, count_include_pad=include)
        yield average_pool(f"average_pool_same_{include}", (1, 2, 6, 7), kernel_shape=[3, 4],
                           strides=[2, 2], auto_pad="SAME_UPPER", count_include_pad=include)
    yield average_pool("average_pool_same_lower", (1, 2, 6, 7), kernel_shape=[3, 4],
                       strides=[2, 2], auto_pad="SAME_LOWER")
    yield average_pool("average_pool_valid", (1, 2, 6, 7), kernel_shape=[3, 4], auto_pad="VALID")
    yield average_pool("average_pool_1d", (2, 2, 9), kernel_shape=[3], strides=[2], pads=[1, 1])
    yield average_pool("average_pool_3d", (1, 2, 4, 5, 4), kernel_shape=[2, 3, 2],
                       strides=[2, 1, 2], pads=[0, 1, 1, 0, 1, 1])
    yield average_pool("average_pool_opset7", (1, 2, 5, 5), kernel_shape=[3, 3],
                       pads=[1, 1, 1, 1], opset=7)


def lp_pools():
    def lp_pool(name, shape, p=2, opset=17, **attrs):
        return case(name, "LpPool", {"x": away_from(normal(name, *shape), 0)},
                    lambda x: by_hand(x, attrs, lambda v, _: (v.abs() ** p).sum(-1) ** (1 / p)),
                    attrs=dict(attrs, p=p), opset=opset, check=opset < 18)

    yield lp_pool("lp_pool", (1, 2, 5, 6), kernel_shape=[2, 2], strides=[2, 2])
    yield lp_pool("lp_pool_3", (1, 2, 5, 6), p=3, kernel_shape=[3, 2], pads=[1, 0, 1, 1])
    yield lp_pool("lp_pool_1", (1, 2, 5), p=1, kernel_shape=[3])
    yield lp_pool("lp_pool_same_upper", (1, 2, 5, 6), kernel_shape=[3, 4], strides=[2, 2],
                  auto_pad="SAME_UPPER")
    yield lp_pool("lp_pool_same_lower", (1, 2, 5, 6), kernel_shape=[3, 4], strides=[2, 2],
                  auto_pad="SAME_LOWER")
    yield lp_pool("lp_pool_valid", (1, 2, 5, 6), kernel_shape=[3, 4], auto_pad="VALID")
    yield lp_pool("lp_pool_dilation", (1, 2, 6, 7), opset=18, kernel_shape=[2, 3],
                  dilations=[3, 2])
    yield lp_pool("lp_pool_ceil", (1, 2, 6, 7), opset=18, kernel_shape=[3, 2], strides=[2, 2],
                  ceil_mode=1)


def global_pools():
    for shape in ((2, 3, 4, 5), (2, 3, 7), (1, 2, 3, 2, 4), (1, 3, 1, 1)):
        rank = f"{len(shape) - 2}d_{shape[-1]}"
        axes = tuple(range(2, len(shape)))
        yield case(f"global_average_pool_{rank}", "GlobalAveragePool",
                   {"x": normal(rank, *shape)}, lambda x: x.mean(axes, keepdim=True))
        yield case(f"global_max_pool_{rank}", "GlobalMaxPool", {"x": distinct(rank, *shape)},
                   lambda x: x.flatten(2).max(-1).values.reshape(*x.shape[:2], *[1] * len(axes)))
        yield case(f"global_lp_pool_{rank}", "GlobalLpPool",
                   {"x": away_from(normal(rank, *shape), 0)},
                   lambda x: (x.abs() ** 3).sum(axes, keepdim=True) ** (1 / 3), attrs={"p": 3})
    ties = np.array([[1, 3, 3, 0], [2, 2, 2, 2]], np.float32).reshape(1, 2, 2, 2)
    yield case("global_max_pool_ties", "GlobalMaxPool", {"x": ties},
               lambda x: F.max_pool2d(x, 2), fd=False)


def refused():
    x = normal("pool", 1, 2, 4, 4)
    yield failure("max_pool_no_kernel", "MaxPool", {"x": x}, "MODEL")
    yield failure("max_pool_short_kernel", "MaxPool", {"x": x}, "MODEL",
                  attrs={"kernel_shape": [2]})
    yield failure("max_pool_zero_kernel", "MaxPool", {"x": x}, "MODEL",
                  attrs={"kernel_shape": [0, 2]})
    yield failure("average_pool_too_large", "AveragePool", {"x": x}, "SHAPE",
                  attrs={"kernel_shape": [7, 2], "pads": [1, 0, 1, 0]})
    yield failure("lp_pool_zero", "LpPool", {"x": x}, "MODEL",
                  attrs={"kernel_shape": [2, 2], "p": 0})
    yield failure("global_pool_rank", "GlobalAveragePool", {"x": normal("r", 3)}, "SHAPE")


def cases():
    yield from max_pools()
    yield from with_indices()
    yield from average_pools()
    yield from lp_pools()
    yield from global_pools()
    yield from refused()
