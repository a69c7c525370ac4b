# SPDX-License-Identifier: Apache-2.0
"""GridSample, RoiAlign and MaxUnpool, from PyTorch and torchvision. What those do not have, the
maximum over a region and unpooling into a larger tensor, is built from what they have."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

from op_case import away_from, case, failure, ints, normal, uniform

X = normal("sampling", 2, 3, 5, 4)
VOLUME = normal("sampling3", 2, 2, 3, 4, 5)


def grid(name, *shape, low=-1.4, high=1.4):
    """Points away from where pixels begin, so that differences see no kink."""
    points = uniform(name, low, high, *shape)
    halves = np.arange(-40, 41) / 2
    sizes = (4, 5) if shape[-1] == 2 else (5, 4, 3)
    for axis, size in enumerate(sizes):
        for kinks in ((2 * halves + 1) / size - 1, 2 * halves / (size - 1) - 1):
            points[..., axis] = away_from(points[..., axis], *kinks, margin=1e-3)
    return points


def sample(x, points, mode, padding, align):
    modes = {"linear": "bilinear", "cubic": "bicubic"}
    return F.grid_sample(x, points, modes.get(mode, mode), padding, align)


def grid_case(name, x, points, mode="linear", padding="zeros", align=0, opset=20, **more):
    attrs = {"mode": mode, "padding_mode": padding, "align_corners": align}
    short = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    return case(name, "GridSample", {"x": x, "grid": points},
                lambda v, g: sample(v, g, short, padding, bool(align)), attrs=attrs, opset=opset,
                check=opset < 18, **more)


def grid_sample():
    for mode, padding, align in itertools.product(
            ("linear", "nearest", "cubic"), ("zeros", "border", "reflection"), (0, 1)):
        name = f"grid_sample_{mode}_{padding}" + ("_corners" if align else "")
        yield grid_case(name, X, grid("gs", 2, 3, 2, 2), mode, padding, align)
        if mode != "cubic":
            yield grid_case(name + "_3d", VOLUME, grid("gs3", 2, 2, 2, 1, 3), mode, padding, align)
    for mode in ("bilinear", "bicubic", "nearest"):
        yield grid_case(f"grid_sample_opset16_{mode}", X, grid("g16", 2, 3, 2, 2), mode, opset=16)
    yield case("grid_sample_defaults", "GridSample", {"x": X, "grid": grid("gd", 2, 3, 2, 2)},
               lambda v, g: sample(v, g, "linear", "zeros", False), opset=16)
    yield grid_case("grid_sample_far", X, uniform("gf", -9, 9, 2, 4, 3, 2), fd=False)
    yield grid_case("grid_sample_far_reflection", X, grid("gr", 2, 4, 3, 2, low=-9, high=9),
                    padding="reflection")
    yield grid_case("grid_sample_exact", X,
                    np.stack(np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 5)),
                             -1)[None].repeat(2, 0).astype(np.float32), align=1, fd=False,
                    grads=["x"])
    yield grid_case("grid_sample_single_pixel", normal("g1", 1, 2, 1, 1), grid("g1g", 1, 2, 2, 2),
                    padding="reflection", align=1, fd=False)
    line = normal("g1d", 2, 3, 5)
    points = away_from(uniform("g1dg", -1.3, 1.3, 2, 6, 1),
                       *((2 * np.arange(-9, 10) + 1) / 5 - 1), margin=1e-3)
    yield case("grid_sample_1d", "GridSample", {"x": line, "grid": points},
               lambda v, g: sample(v[:, :, None], torch.cat([g, torch.zeros_like(g)], -1)[:, None],
                                   "linear", "zeros", False)[:, :, 0],
               attrs={"mode": "linear"}, opset=20, check=False)
    for name, x, points, attrs, status in (
            ("grid_sample_bad_mode", X, np.zeros((2, 1, 1, 2)), {"mode": "lanczos"}, "MODEL"),
            ("grid_sample_bad_padding", X, np.zeros((2, 1, 1, 2)), {"padding_mode": "wrap"}, "MODEL"),
            ("grid_sample_bad_axes", X, np.zeros((2, 1, 1, 3)), {}, "SHAPE"),
            ("grid_sample_bad_batch", X, np.zeros((1, 1, 1, 2)), {}, "SHAPE"),
            ("grid_sample_cubic_3d", VOLUME, np.zeros((2, 1, 1, 1, 3)), {"mode": "cubic"},
             "UNSUPPORTED")):
        yield failure(name, "GridSample", {"x": x, "grid": points.astype(np.float32)}, status,
                      attrs=attrs, opset=20)


BOXES = np.array([[0.3, 0.2, 3.1, 4.2], [1.1, 0.6, 2.3, 1.7], [-2.2, -1.4, 6.3, 7.1],
                  [2.2, 1.3, 2.4, 1.35]], np.float32)
PICTURES = ints(0, 1, 1, 0)


def regions(boxes, pictures):
    return torch.cat([pictures[:, None].double(), boxes.detach()], 1)


def max_of_pixels(x, boxes, pictures, size, scale, ratio, aligned):
    """The largest weighted pixel of all samples. Every sample is a bin with one sample of its own;
    the weight of a pixel in it is what the picture with that pixel alone gives."""
    place = regions(boxes, pictures)
    fine = (size[0] * ratio, size[1] * ratio)
    height, width = x.shape[2:]
    parts = []
    for i in range(height * width):
        one = torch.zeros(height * width, dtype=x.dtype)
        one[i] = 1
        weight = torchvision.ops.roi_align(one.reshape(1, 1, height, width).repeat(len(x), 1, 1, 1),
                                           place, fine, scale, 1, aligned)
        value = x.flatten(2)[pictures][:, :, i, None, None]
        parts.append(torch.where(weight > 0, weight * value, torch.tensor(-np.inf)))
    # where only some of the four have a weight, the others add zeros
    top = torch.stack(parts).max(0)[0]
    few = torch.stack([p > -np.inf for p in parts]).sum(0) < 4
    return F.max_pool2d(torch.where(few, top.clamp(min=0), top), ratio)


def roi_case(name, size=(1, 1), scale=1.0, ratio=0, aligned=True, mode="avg", opset=16, x=X,
             **attrs):
    attrs = {"output_height": size[0], "output_width": size[1], "spatial_scale": scale,
             "sampling_ratio": ratio, "mode": mode, **attrs}

    def forward(v, b, p):
        if mode == "max":
            return max_of_pixels(v, b, p, size, scale, ratio, aligned)
        return torchvision.ops.roi_align(v, regions(b, p), size, scale, ratio or -1, aligned)

    return case(name, "RoiAlign", {"x": x, "rois": BOXES, "pictures": PICTURES}, forward,
                attrs=attrs, opset=opset, grads=["x"])


def roi_align():
    half, whole = "half_pixel", "output_half_pixel"
    place = "coordinate_transformation_mode"
    yield roi_case("roi_align", (2, 3))
    yield roi_case("roi_align_one_bin")
    yield roi_case("roi_align_scale", (3, 2), scale=0.6)
    yield roi_case("roi_align_ratio", (2, 2), ratio=3)
    yield roi_case("roi_align_half_pixel", (2, 2), **{place: half})
    yield roi_case("roi_align_output_half_pixel", (2, 3), aligned=False, **{place: whole})
    yield roi_case("roi_align_output_half_pixel_ratio", (2, 3), ratio=2, aligned=False,
                   **{place: whole})
    yield roi_case("roi_align_opset10", (2, 3), aligned=False, opset=10)
    yield roi_case("roi_align_max", (2, 2), ratio=2, mode="max")
    yield roi_case("roi_align_max_whole", (3, 1), ratio=3, mode="max", aligned=False,
                   **{place: whole})
    yield case("roi_align_defaults", "RoiAlign", {"x": X, "rois": BOXES, "pictures": PICTURES},
               lambda v, b, p: torchvision.ops.roi_align(v, regions(b, p), (1, 1), 1.0, -1, True),
               opset=16, grads=["x"])
    good = {"x": X, "rois": BOXES, "pictures": PICTURES}
    for name, change, attrs, status in (
            ("roi_align_bad_picture", {"pictures": ints(0, 1, 2, 0)}, {}, "MODEL"),
            ("roi_align_bad_mode", {}, {"mode": "median"}, "MODEL"),
            ("roi_align_bad_place", {}, {place: "asymmetric"}, "MODEL"),
            ("roi_align_bad_boxes", {"rois": BOXES[:, :3]}, {}, "SHAPE"),
            ("roi_align_bad_count", {"pictures": ints(0, 1)}, {}, "SHAPE"),
            ("roi_align_endless", {"rois": BOXES * np.float32(1e9)}, {}, "MODEL")):
        yield failure(name, "RoiAlign", {**good, **change}, status, attrs=attrs, opset=16)


def unpool_case(name, x_shape, kernel, stride, pad=None, larger=None):
    """Pools, so that indices are those of MaxPool, then unpools other values."""
    spatial = len(kernel)
    pools = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
    source = torch.tensor(normal(name, *x_shape))
    _, found = pools[spatial](source, kernel, stride, pad or 0, return_indices=True)
    plane = int(np.prod(x_shape[2:]))
    planes = torch.arange(x_shape[0] * x_shape[1]).reshape(x_shape[0], x_shape[1],
                                                           *[1] * spatial)
    indices = (found + planes * plane).numpy()
    attrs = {"kernel_shape": kernel}
    if stride != [1] * spatial:
        attrs["strides"] = stride
    if pad:
        attrs["pads"] = pad * 2

    def forward(v, i, shape=None):
        flat = torch.zeros(int(np.prod(x_shape)), dtype=v.dtype)
        y = flat.scatter(0, i.reshape(-1), v.reshape(-1)).reshape(x_shape)
        for axis in range(2, 2 + spatial) if larger else ():
            extra = list(y.shape)
            extra[axis] = larger[axis] - extra[axis]
            y = torch.cat([y, torch.zeros(extra, dtype=v.dtype)], axis)
        return y

    inputs = {"x": normal(name + "v", *found.shape), "i": indices}
    if larger:
        inputs["shape"] = ints(*larger)
    return case(name, "MaxUnpool", inputs, forward, attrs=attrs, opset=11,
                constants=("shape",) if larger else ())


def max_unpool():
    yield unpool_case("max_unpool", (2, 3, 4, 6), [2, 2], [2, 2])
    yield unpool_case("max_unpool_rectangle", (2, 2, 6, 4), [3, 2], [3, 2])
    yield unpool_case("max_unpool_pads", (1, 2, 4, 7), [3, 3], [3, 3], [1, 1])
    yield unpool_case("max_unpool_stride1", (1, 2, 1, 2), [1, 2], [1, 1])
    yield unpool_case("max_unpool_1d", (2, 3, 8), [2], [2])
    yield unpool_case("max_unpool_3d", (1, 2, 4, 4, 2), [2, 2, 2], [2, 2, 2])
    yield unpool_case("max_unpool_output_shape", (1, 2, 4, 4), [2, 2], [2, 2],
                      larger=(1, 2, 5, 7))
    good = {"x": normal("mu", 1, 1, 1, 2), "i": ints(0, 3).reshape(1, 1, 1, 2)}
    window = {"kernel_shape": [1, 2], "strides": [1, 2]}
    for name, change, attrs, status in (
            ("max_unpool_bad_index", {"i": ints(0, 4).reshape(1, 1, 1, 2)}, window, "MODEL"),
            ("max_unpool_negative_index", {"i": ints(0, -1).reshape(1, 1, 1, 2)}, window, "MODEL"),
            ("max_unpool_bad_extent", {"i": ints(0, 1).reshape(1, 1, 2, 1)}, window, "SHAPE"),
            ("max_unpool_smaller", {"shape": ints(1, 1, 1, 3)}, window, "SHAPE"),
            ("max_unpool_cut_away", {"shape": ints(1, 1, 1, 4)},
             {"kernel_shape": [1, 2], "pads": [1, 0, 0, 0]}, "SHAPE"),
            ("max_unpool_no_kernel", {}, {}, "MODEL")):
        yield failure(name, "MaxUnpool", {**good, **change}, status, attrs=attrs, opset=11,
                      constants=("shape",) if "shape" in change else ())


def pooled_network():
    """MaxPool hands its indices over, and both lie on the way of the gradient."""
    x = normal("pool_unpool", 2, 3, 4, 6)
    return case("max_pool_unpool", None, {"x": x},
                lambda v: F.max_unpool2d(*F.max_pool2d(v, 2, return_indices=True), 2),
                nodes=[("MaxPool", ["x"], ["p", "i"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
                       ("MaxUnpool", ["p", "i"], ["y"], {"kernel_shape": [2, 2],
                                                         "strides": [2, 2]})], opset=12)


def cases():
    yield from grid_sample()
    yield from roi_align()
    yield from max_unpool()
    yield pooled_network()
