# SPDX-License-Identifier: Apache-2.0
"""Resize: against interpolate for the modes PyTorch has, and for all against ONNX's formulas,
axis by axis, as a matrix from input to output positions."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from op_case import case, failure, ints, normal

NO = np.zeros(0, np.float32)


def position(mode, o, n, out, scale, roi):
    """Input coordinate of output position o."""
    if mode == "align_corners":
        return o * (n - 1) / (out - 1) if out > 1 else 0.0
    if mode == "asymmetric":
        return o / scale
    if mode == "tf_half_pixel_for_nn":
        return (o + 0.5) / scale
    if mode == "pytorch_half_pixel" and out == 1:
        return 0.0
    if mode == "tf_crop_and_resize":
        begin, end = roi
        if out > 1:
            return begin * (n - 1) + o * (end - begin) * (n - 1) / (out - 1)
        return 0.5 * (begin + end) * (n - 1)
    middle = 0.0
    if mode == "half_pixel_symmetric":
        middle = n / 2 * (1 - out / (scale * n))
    return middle + (o + 0.5) / scale - 0.5


def nearest(mode, x):
    x = round(x, 9)  # the formulas mean exact numbers
    return {"round_prefer_floor": math.ceil(x - 0.5), "round_prefer_ceil": math.floor(x + 0.5),
            "floor": math.floor(x), "ceil": math.ceil(x)}[mode]


def kernel(attrs, d):
    d = abs(d)
    if attrs["mode"] == "linear":
        return max(0.0, 1 - d)
    a = attrs.get("cubic_coeff_a", -0.75)
    if d <= 1:
        return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1
    return a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a if d < 2 else 0.0


def row(attrs, x, n, scale):
    """Weights of the n inputs for one output at coordinate x."""
    weights = np.zeros(n)
    if attrs["mode"] == "nearest":
        weights[min(max(nearest(attrs.get("nearest_mode", "round_prefer_floor"), x), 0), n - 1)] = 1
        return weights
    width = max(1.0, 1 / scale) if attrs.get("antialias") else 1.0
    reach = (1 if attrs["mode"] == "linear" else 2) * width
    drop = attrs.get("exclude_outside")
    for i in range(math.floor(x - reach) - 1, math.ceil(x + reach) + 2):
        w = kernel(attrs, (i - x) / width)
        if 0 <= i < n or not drop:
            weights[min(max(i, 0), n - 1)] += w
    return weights / weights.sum() if drop or attrs.get("antialias") else weights


def matrix(attrs, n, out, scale, roi):
    mode = attrs.get("coordinate_transformation_mode", "half_pixel")
    rows, outside = [], []
    for o in range(out):
        x = position(mode, o, n, out, scale, roi)
        outside.append(mode == "tf_crop_and_resize" and not -1e-6 * n <= x <= n - 1 + 1e-6 * n)
        rows.append(np.zeros(n) if outside[-1] else row(attrs, x, n, scale))
    return torch.tensor(np.array(rows)), torch.tensor(outside)


def by_hand(x, attrs, plans):
    """plans: (axis, out, scale, roi)."""
    outside = torch.zeros([1] * x.dim(), dtype=torch.bool)
    for axis, out, scale, roi in plans:
        weights, mask = matrix(attrs, x.shape[axis], out, scale, roi)
        x = torch.tensordot(x, weights, ([axis], [1])).movedim(-1, axis)
        outside = outside | mask.reshape([-1 if i == axis else 1 for i in range(x.dim())])
    return torch.where(outside, torch.tensor(attrs.get("extrapolation_value", 0.0)), x)


def resize(name, shape, scales=None, sizes=None, roi=None, opset=17, torch_mode=None, x=None,
           axes=None, **attrs):
    every = list(range(len(shape))) if axes is None else [a % len(shape) for a in axes]
    attrs.setdefault("mode", "nearest")
    plans = []
    for i, axis in enumerate(every):
        n = shape[axis]
        out = math.floor(n * np.float32(scales[i])) if scales else sizes[i]
        scale = float(np.float32(scales[i])) if scales else out / n
        if scales and abs(scale - out / n) < 1e-6 * scale:
            scale = out / n
        part = (roi[i], roi[len(every) + i]) if roi else (0, 1)
        if out != n or scale != 1 or part != (0, 1):
            plans.append((axis, out, scale, part))

    def forward(x, *_):
        y = by_hand(x, attrs, plans)
        if torch_mode is not None:
            align = None if torch_mode.startswith("nearest") else \
                attrs.get("coordinate_transformation_mode") == "align_corners"
            own = F.interpolate(x, size=tuple(y.shape[2:]), mode=torch_mode, align_corners=align,
                                antialias=bool(attrs.get("antialias", 0)))
            assert torch.allclose(own, y, rtol=1e-6, atol=1e-6), f"{name}: {(own - y).abs().max()}"
        return y

    given = dict(attrs)
    if axes is not None:
        given["axes"] = axes
    inputs = {"x": normal(name, *shape) if x is None else x,
              "roi": None if roi is None else np.array(roi, np.float32),
              "scales": None if scales is None else np.array(scales, np.float32),
              "sizes": None if sizes is None else ints(list(sizes))}
    return case(name, "Resize", inputs, forward, attrs=given, opset=opset, check=opset <= 17,
                constants=["roi", "scales", "sizes"])


def against_torch():
    half, align = {}, {"coordinate_transformation_mode": "align_corners"}
    pytorch = {"coordinate_transformation_mode": "pytorch_half_pixel"}
    for label, size in (("up", (7, 9)), ("down", (3, 2)), ("mixed", (8, 3)), ("one", (1, 1))):
        for name, mode in (("half", half), ("align", align), ("pytorch", pytorch)):
            if label == "one" and name == "pytorch":
                continue  # ONNX: position 0
            yield resize(f"resize_linear_{name}_{label}", (2, 2, 4, 5), sizes=(2, 2) + size,
                         mode="linear", torch_mode="bilinear", **mode)
    yield resize("resize_linear_1d", (2, 3, 5), sizes=(2, 3, 8), mode="linear",
                 torch_mode="linear")
    yield resize("resize_linear_3d", (1, 2, 2, 3, 4), sizes=(1, 2, 4, 5, 3), mode="linear",
                 torch_mode="trilinear")
    yield resize("resize_linear_scales", (1, 2, 3, 4), scales=(1, 1, 2, 3), mode="linear",
                 torch_mode="bilinear")
    for label, size in (("up", (8, 11)), ("down", (2, 3)), ("third", (12, 15))):
        yield resize(f"resize_nearest_torch_{label}", (1, 2, 4, 5), sizes=(1, 2) + size,
                     coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                     torch_mode="nearest")
    yield resize("resize_nearest_exact", (1, 2, 4, 5), sizes=(1, 2, 7, 8),
                 nearest_mode="round_prefer_ceil", torch_mode="nearest-exact")
    yield resize("resize_nearest_1d", (1, 2, 5), sizes=(1, 2, 13), torch_mode="nearest",
                 coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    yield resize("resize_nearest_3d", (1, 1, 2, 3, 2), scales=(1, 1, 2, 2, 3),
                 coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                 torch_mode="nearest")
    for label, size in (("up", (7, 9)), ("down", (3, 2))):
        yield resize(f"resize_cubic_{label}", (1, 2, 4, 5), sizes=(1, 2) + size, mode="cubic",
                     torch_mode="bicubic")
        yield resize(f"resize_cubic_align_{label}", (1, 2, 4, 5), sizes=(1, 2) + size,
                     mode="cubic", torch_mode="bicubic", **align)
    yield resize("resize_antialias_linear", (1, 2, 9, 7), sizes=(1, 2, 4, 3), mode="linear",
                 antialias=1, opset=18)
    yield resize("resize_antialias_torch", (1, 2, 9, 7), sizes=(1, 2, 4, 3), mode="linear",
                 antialias=1, exclude_outside=1, opset=18, torch_mode="bilinear")


MODES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
         "tf_half_pixel_for_nn")


def by_formula():
    for mode in MODES:
        opset = 19 if mode == "half_pixel_symmetric" else 17
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            yield resize(f"resize_nearest_{mode}_{rounding}", (1, 2, 4, 6), scales=(1, 1, 1.6, 0.7),
                         coordinate_transformation_mode=mode, nearest_mode=rounding, opset=opset)
            yield resize(f"resize_nearest_{mode}_{rounding}_sizes", (1, 1, 3, 4),
                         sizes=(1, 1, 9, 2), coordinate_transformation_mode=mode,
                         nearest_mode=rounding, opset=opset)
        for filters in ("linear", "cubic"):
            yield resize(f"resize_{filters}_{mode}", (1, 2, 4, 6), scales=(1, 1, 1.6, 0.7),
                         coordinate_transformation_mode=mode, mode=filters, opset=opset)
            yield resize(f"resize_{filters}_{mode}_one", (1, 1, 3, 4), sizes=(1, 1, 1, 1),
                         coordinate_transformation_mode=mode, mode=filters, opset=opset)


def crops():
    crop = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    inside = (0, 0, 0.2, 0.15, 1, 1, 0.7, 0.9)
    beyond = (0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7)
    for mode in ("nearest", "linear", "cubic"):
        yield resize(f"resize_crop_{mode}", (1, 2, 5, 6), sizes=(1, 2, 4, 3), roi=inside,
                     mode=mode, **crop)
        yield resize(f"resize_crop_{mode}_beyond", (1, 2, 5, 6), sizes=(1, 2, 3, 4), roi=beyond,
                     mode=mode, extrapolation_value=10.0, **crop)
    yield resize("resize_crop_one", (1, 1, 5, 6), sizes=(1, 1, 1, 3), roi=inside, mode="linear",
                 **crop)
    yield resize("resize_crop_same_size", (1, 1, 4, 4), sizes=(1, 1, 4, 4), mode="linear",
                 roi=(0, 0, 0, 0.1, 1, 1, 0.8, 1), **crop)


def variants():
    yield resize("resize_thirds", (1, 1, 9, 9), scales=(1, 1, 1 / 3, 2 / 3), mode="nearest",
                 coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    yield resize("resize_identity", (1, 2, 3, 4), scales=(1, 1, 1, 1), mode="linear")
    yield resize("resize_last_channels", (1, 3, 4, 2), scales=(1, 2, 1.5, 1), mode="linear")
    yield resize("resize_middle_axis", (2, 3, 4, 2), sizes=(2, 3, 7, 2), mode="linear")
    yield resize("resize_first_axes", (3, 4, 2), sizes=(5, 2, 3), mode="cubic")
    yield resize("resize_axes", (2, 4, 5), sizes=(7, 3), axes=[2, 1], mode="linear", opset=18)
    yield resize("resize_axes_negative", (2, 4, 5), scales=(1.5, 0.5), axes=[-1, -2],
                 opset=18)
    yield resize("resize_axes_crop", (1, 4, 5), sizes=(3, 4), axes=[1, 2], mode="linear",
                 roi=(0.1, 0.2, 0.8, 0.9), opset=18,
                 coordinate_transformation_mode="tf_crop_and_resize")
    yield resize("resize_cubic_a", (1, 1, 4, 4), sizes=(1, 1, 7, 3), mode="cubic",
                 cubic_coeff_a=-0.5)
    yield resize("resize_cubic_exclude", (1, 1, 4, 5), sizes=(1, 1, 7, 3), mode="cubic",
                 exclude_outside=1)
    yield resize("resize_antialias_cubic", (1, 1, 9, 7), scales=(1, 1, 0.4, 0.6), mode="cubic",
                 antialias=1, opset=18)
    yield resize("resize_antialias_cubic_outside", (1, 1, 9, 7), scales=(1, 1, 0.4, 0.6),
                 mode="cubic", antialias=1, exclude_outside=1, opset=18)
    yield resize("resize_antialias_up", (1, 1, 3, 4), scales=(1, 1, 2, 1.5), mode="cubic",
                 antialias=1, opset=18)
    for policy, outs in (("not_larger", (6, 8)), ("not_smaller", (7, 10))):
        # 3 x 4 to 7 x 8: scales 7/3 and 2
        scale = 2 if policy == "not_larger" else 7 / 3
        outs = tuple(math.floor(n * scale + 0.5) for n in (3, 4))
        plans = [(1, outs[0], scale, None), (2, outs[1], scale, None)]
        attrs = {"mode": "linear", "keep_aspect_ratio_policy": policy, "axes": [1, 2]}
        yield case(f"resize_{policy}", "Resize",
                   {"x": normal(policy, 2, 3, 4), "roi": None, "scales": None,
                    "sizes": ints(7, 8)}, lambda x, *_: by_hand(x, attrs, plans), attrs=attrs,
                   opset=18, check=False, constants=["sizes"])


def old_forms():
    x = normal("old", 1, 2, 3, 4)
    for op, opset in (("Upsample", 9), ("Resize", 10)):
        for mode, scale in (("nearest", (1, 1, 2, 3)), ("linear", (1, 1, 2, 1.5))):
            plans = [(2, int(3 * scale[2]), scale[2], None), (3, int(4 * scale[3]), scale[3], None)]
            attrs = {"mode": mode, "coordinate_transformation_mode": "asymmetric",
                     "nearest_mode": "floor"}
            yield case(f"{op.lower()}_opset{opset}_{mode}", op,
                       {"x": x, "scales": np.array(scale, np.float32)},
                       lambda x, _: by_hand(x, attrs, plans), attrs={"mode": mode}, opset=opset,
                       constants=["scales"])
    plans = [(2, 6, 2.0, None), (3, 8, 2.0, None)]
    yield case("upsample_opset7", "Upsample", {"x": x},
               lambda x: by_hand(x, {"mode": "nearest", "nearest_mode": "floor",
                                     "coordinate_transformation_mode": "asymmetric"}, plans),
               attrs={"scales": [1.0, 1.0, 2.0, 2.0]}, opset=7)
    wide = [(2, 6, 2.0, None), (3, 12, 3.0, None)]
    for mode in ("nearest", "bilinear"):
        yield case(f"upsample_opset1_{mode}", "Upsample", {"x": x},
                   lambda x, m=mode: by_hand(x, {"mode": {"bilinear": "linear"}.get(m, m),
                                                 "nearest_mode": "floor",
                                                 "coordinate_transformation_mode": "asymmetric"},
                                             wide),
                   attrs={"height_scale": 2.0, "width_scale": 3.0, "mode": mode}, opset=1)
    yield case("resize_opset11_empty", "Resize",
               {"x": x, "roi": NO, "scales": NO, "sizes": ints(1, 2, 6, 5)},
               lambda x, *_: F.interpolate(x, size=(6, 5), mode="bilinear", align_corners=False),
               attrs={"mode": "linear"}, opset=11, constants=["roi", "scales", "sizes"])


def refused():
    x = normal("resize", 1, 2, 3, 4)

    def bad(name, status, scales=None, sizes=None, opset=17, x=x, constants=None, **attrs):
        inputs = {"x": x, "roi": None,
                  "scales": None if scales is None else np.array(scales, np.float32),
                  "sizes": None if sizes is None else ints(list(sizes))}
        return failure(f"resize_bad_{name}", "Resize", inputs, status, attrs=attrs, opset=opset,
                       constants=["scales", "sizes"] if constants is None else constants)

    yield bad("nothing", "MODEL")
    yield bad("both", "MODEL", scales=[1, 1, 2, 2], sizes=[1, 2, 6, 8])
    yield bad("count", "MODEL", scales=[2, 2])
    yield bad("scale", "SHAPE", scales=[1, 1, -1, 1])
    yield bad("size", "SHAPE", sizes=[1, 2, 0, 4])
    yield bad("mode", "UNSUPPORTED", sizes=[1, 2, 6, 8], mode="lanczos")
    yield bad("coordinates", "UNSUPPORTED", sizes=[1, 2, 6, 8],
              coordinate_transformation_mode="other")
    yield bad("policy", "MODEL", sizes=[1, 2, 6, 8], opset=18, keep_aspect_ratio_policy="other")
    yield bad("no_roi", "MODEL", sizes=[1, 2, 6, 8],
              coordinate_transformation_mode="tf_crop_and_resize")
    yield bad("axes", "MODEL", sizes=[6], axes=[4], opset=18)
    yield bad("axes_twice", "MODEL", sizes=[6, 8], axes=[2, -2], opset=18)
    yield bad("no_output", "SHAPE", scales=[1, 1, 0.2, 1])
    yield bad("huge", "LIMIT", sizes=[1, 2, 2**20, 2**20])
    yield bad("four_axes", "UNSUPPORTED", sizes=[2, 4, 6, 8])
    yield bad("fed_sizes", "UNSUPPORTED", sizes=[1, 2, 6, 8], constants=[])


def cases():
    yield from against_torch()
    yield from by_formula()
    yield from crops()
    yield from variants()
    yield from old_forms()
    yield from refused()
