# SPDX-License-Identifier: Apache-2.0
"""Pad: through NumPy's index of every output element, which PyTorch then gathers."""

import numpy as np
import torch
import torch.nn.functional as F

from op_case import case, failure, ints, normal, scalar


def sources(n, begin, end, mode):
    """Source of every position along an axis, -1 for none; a negative pad cuts off."""
    positions = np.arange(-begin, n + end)
    inside = (positions >= 0) & (positions < n)
    if mode == "constant":
        return np.where(inside, positions, -1)
    wide = np.pad(np.arange(n), (max(begin, 0), max(end, 0)), mode=mode)
    first = max(-begin, 0)
    return wide[first:first + len(positions)]


def forward_of(pads, mode, value, axes):
    def forward(x, *_):
        chosen = list(range(x.dim())) if axes is None else [a % x.dim() for a in axes]
        mask = torch.ones([1] * x.dim(), dtype=torch.bool)
        for i, axis in enumerate(chosen):
            at = sources(x.shape[axis], pads[i], pads[len(chosen) + i], mode)
            x = x.index_select(axis, torch.tensor(np.maximum(at, 0)))
            mask = mask & torch.tensor(at >= 0).reshape(
                [-1 if a == axis else 1 for a in range(x.dim())])
        return torch.where(mask, x, torch.tensor(value, dtype=x.dtype))
    return forward


def pad(name, x, pads, mode=None, value=None, axes=None, opset=17, check=True, fed=False):
    if isinstance(x, tuple):
        x = normal(name, *x)
    inputs = {"x": x, "pads": ints(list(pads)),
              "value": None if value is None else scalar(value, x.dtype),
              "axes": None if axes is None else ints(list(axes))}
    if axes is not None and opset < 18:
        opset, check = 18, False
    return case(name, "Pad", inputs,
                forward_of(pads, mode or "constant", 0 if value is None else value, axes),
                attrs={} if mode is None else {"mode": mode}, opset=opset, check=check,
                grads=["x"] if x.dtype == np.float32 else [],
                constants=["pads", "axes"] + ([] if fed else ["value"]))


def cases():
    yield pad("pad", (2, 2, 3, 4), [0, 0, 1, 2, 0, 0, 3, 1])
    yield pad("pad_value", (1, 2, 3, 3), [0, 0, 1, 1, 0, 0, 1, 1], value=-1.5)
    yield pad("pad_value_fed", (1, 2, 2, 2), [0, 0, 1, 0, 0, 0, 0, 1], value=2.5, fed=True)
    yield pad("pad_nothing", (1, 2, 3, 3), [0] * 8)
    yield pad("pad_channels", (1, 2, 3, 3), [1, 2, 0, 0, 0, 1, 0, 0])
    yield pad("pad_crop", (1, 2, 4, 5), [0, 0, -1, 1, 0, 0, 2, -2])
    yield pad("pad_crop_all", (1, 2, 4, 5), [0, 0, -1, -2, 0, 0, -1, -2])
    yield pad("pad_crop_to_nothing", (1, 4), [0, -2, 0, -2])
    yield pad("pad_beyond_the_end", (1, 4), [0, -5, 0, 4], value=1.0)
    yield pad("pad_1d", (5,), [2, 1])
    yield pad("pad_3d", (1, 1, 2, 3, 2), [0, 0, 1, 0, 1, 0, 0, 0, 2, 1], mode="constant")
    yield pad("pad_axes", (2, 3, 4), [1, 2, 0, 1], axes=[2, 1])
    yield pad("pad_axes_negative", (2, 3, 4), [1, 2], axes=[-2], value=3.0)
    for mode in ("reflect", "edge", "wrap"):
        opset = 19 if mode == "wrap" else 17
        more = {"mode": mode, "opset": opset, "check": mode != "wrap"}
        yield pad(f"pad_{mode}", (1, 2, 4, 5), [0, 0, 2, 1, 0, 0, 1, 3], **more)
        yield pad(f"pad_{mode}_all_axes", (2, 3, 3), [1, 1, 2, 0, 2, 1], **more)
        yield pad(f"pad_{mode}_1d", (6,), [3, 4], **more)
        yield pad(f"pad_{mode}_crop", (1, 5, 6), [0, -1, 2, 0, 3, -2], **more)
        yield pad(f"pad_{mode}_round", (1, 3, 2), [0, 7, 5, 0, 6, 8], **more)
        yield pad(f"pad_{mode}_single", (1, 1, 2), [0, 2, 0, 0, 3, 0], **more)
        yield pad(f"pad_{mode}_axes", (2, 3, 4), [2, 1], mode=mode, axes=[-1])
        yield pad(f"pad_{mode}_int", ints([[1, 2, 3], [4, 5, 6]]), [1, 2, 0, 1], **more)
    x = normal("reflect2d", 1, 2, 4, 4)
    yield case("pad_reflect_torch", "Pad", {"x": x, "pads": ints(0, 0, 1, 2, 0, 0, 3, 1)},
               lambda x, _: F.pad(x, (2, 1, 1, 3), mode="reflect"), attrs={"mode": "reflect"},
               constants=["pads"])
    yield case("pad_edge_torch", "Pad", {"x": x, "pads": ints(0, 0, 1, 2, 0, 0, 3, 1)},
               lambda x, _: F.pad(x, (2, 1, 1, 3), mode="replicate"), attrs={"mode": "edge"},
               constants=["pads"])
    yield pad("pad_int", ints([[1, 2], [3, 4]]), [1, 0, 0, 2], value=9)
    yield case("pad_opset2", "Pad", {"x": x}, lambda x: F.pad(x, (1, 2, 0, 1), value=0.5),
               attrs={"pads": [0, 0, 0, 1, 0, 0, 1, 2], "value": 0.5}, opset=9)
    yield case("pad_opset1", "Pad", {"x": x}, lambda x: F.pad(x, (1, 2, 0, 1), value=0.5),
               attrs={"paddings": [0, 0, 0, 1, 0, 0, 1, 2], "value": 0.5}, opset=1)
    y = normal("padbad", 2, 3)
    yield failure("pad_bad_count", "Pad", {"x": y, "pads": ints(1, 1)}, "MODEL",
                  constants=["pads"])
    yield failure("pad_bad_mode", "Pad", {"x": y, "pads": ints(1, 1, 0, 0)}, "MODEL",
                  constants=["pads"], attrs={"mode": "mirror"})
    yield failure("pad_too_much_cut", "Pad", {"x": y, "pads": ints(0, -2, 0, -2)}, "SHAPE",
                  constants=["pads"])
    yield failure("pad_huge", "Pad", {"x": y, "pads": ints(2**62, 0, 2**62, 0)}, "LIMIT",
                  constants=["pads"])
    yield failure("pad_large", "Pad", {"x": y, "pads": ints(2**30, 0, 0, 2**30)}, "LIMIT",
                  constants=["pads"])
    yield failure("pad_axis_twice", "Pad",
                  {"x": y, "pads": ints(1, 1, 0, 0), "v": None, "axes": ints(1, -1)}, "MODEL",
                  constants=["pads", "axes"], opset=18)
    yield failure("pad_edge_of_nothing", "Pad",
                  {"x": np.zeros((2, 0), np.float32), "pads": ints(0, 1, 0, 0)}, "SHAPE",
                  constants=["pads"], attrs={"mode": "edge"})
    yield failure("pad_fed", "Pad", {"x": y, "pads": ints(1, 1, 0, 0)}, "UNSUPPORTED")
