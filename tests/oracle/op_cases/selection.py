# SPDX-License-Identifier: Apache-2.0
"""TopK, NonZero, Compress, NonMaxSuppression."""

import numpy as np
import torch
import torchvision

from op_case import case, failure, ints, normal, uniform

X = normal("selection", 3, 4, 5)


def top_case(name, k, x=X, axis=None, opset=11, outputs=2, **attrs):
    if axis is not None:
        attrs["axis"] = axis

    def forward(v, *_):
        values, indices = v.topk(k, -1 if axis is None else axis, bool(attrs.get("largest", 1)))
        return (values, indices) if outputs == 2 else values

    return case(name, "TopK", {"x": x, "k": ints(k)}, forward, attrs=attrs, constants=("k",),
                outputs=["v", "i"] if outputs == 2 else outputs, opset=opset, check=outputs == 2)


def top_k():
    yield top_case("top_k", 2)
    yield top_case("top_k_one", 1, axis=1)
    yield top_case("top_k_all", 5)
    yield top_case("top_k_axis0", 2, axis=0)
    yield top_case("top_k_axis_negative", 3, axis=-2)
    yield top_case("top_k_smallest", 2, largest=0)
    yield top_case("top_k_smallest_axis", 3, axis=1, largest=0)
    yield top_case("top_k_unsorted", 5, sorted=0)
    yield top_case("top_k_opset10", 2, opset=10)
    yield top_case("top_k_long", 37, x=normal("top_long", 2, 300))
    yield top_case("top_k_values_only", 2, outputs=["v", ""])
    yield case("top_k_opset1", "TopK", {"x": X}, lambda v: tuple(v.topk(2, 1)),
               attrs={"axis": 1, "k": 2}, outputs=2, opset=1)
    yield case("top_k_ties", "TopK", {"x": np.array([1, 3, 2, 3, 3, 1, 2], np.float32),
                                      "k": ints(5)},
               lambda v, k: (torch.tensor([3., 3, 3, 2, 2]), torch.tensor([1, 3, 4, 2, 6])),
               constants=("k",), outputs=2, opset=11, grads=[])
    yield case("top_k_ties_smallest", "TopK", {"x": np.array([1, 3, 2, 3, 3, 1, 2], np.float32),
                                               "k": ints(4)},
               lambda v, k: (torch.tensor([1., 1, 2, 2]), torch.tensor([0, 5, 2, 6])),
               attrs={"largest": 0}, constants=("k",), outputs=2, opset=11, grads=[])
    yield case("top_k_integers", "TopK", {"x": ints(5, -2, 9, 0, 9), "k": ints(3)},
               lambda v, k: (torch.tensor([9, 9, 5]), torch.tensor([2, 4, 0])), constants=("k",),
               outputs=2, opset=11)
    yield failure("top_k_too_many", "TopK", {"x": X, "k": ints(6)}, "MODEL", constants=("k",),
                  outputs=2, opset=11)
    yield failure("top_k_bad_axis", "TopK", {"x": X, "k": ints(1)}, "MODEL", attrs={"axis": 3},
                  constants=("k",), outputs=2, opset=11)
    yield failure("top_k_unknown", "TopK", {"x": X, "k": ints(1)}, "UNSUPPORTED", outputs=2,
                  opset=11)


def nonzero():
    held = {"x": np.array([[1, 0, 2], [0, 0, 3]], np.float32)}
    yield case("nonzero", "NonZero", held, lambda v: v.nonzero().t(), constants=("x",))
    yield case("nonzero_integers", "NonZero", {"x": ints(0, 5, 0, -1)}, lambda v: v.nonzero().t(),
               constants=("x",))
    yield case("nonzero_none", "NonZero", {"x": np.zeros((2, 3), np.float32)},
               lambda v: v.nonzero().t(), constants=("x",))
    yield case("nonzero_rank3", "NonZero", {"x": (normal("nz", 2, 3, 4) > 0)},
               lambda v: v.nonzero().t(), constants=("x",))
    yield failure("nonzero_of_picture", "NonZero", held, "UNSUPPORTED")


def compress_case(name, condition, axis=None, x=X):
    condition = np.array(condition, bool)

    def forward(v, c):
        flat = v.reshape(-1) if axis is None else v
        kept = torch.nonzero(c).reshape(-1)
        return flat.index_select(0 if axis is None else axis, kept)

    return case(name, "Compress", {"x": x, "c": condition}, forward,
                attrs={} if axis is None else {"axis": axis}, constants=("c",), opset=11)


def compress():
    yield compress_case("compress_axis", [True, False, True, True], 1)
    yield compress_case("compress_axis_negative", [False, True, False, False, True], -1)
    yield compress_case("compress_short", [False, True], 1)
    yield compress_case("compress_elements", [True, False] * 20)
    yield compress_case("compress_integers", [True, False, True], 0, x=ints(4, 5, 6))
    yield failure("compress_bad_rank", "Compress", {"x": X, "c": np.array([[True]])}, "SHAPE",
                  constants=("c",), opset=11)


def suppressed(boxes, scores, most, threshold, least):
    """torchvision's nms for each class, from corner boxes."""
    rows = []
    for n in range(scores.shape[0]):
        for c in range(scores.shape[1]):
            kept = torch.arange(scores.shape[2])
            if least is not None:
                kept = kept[scores[n, c] > least]
            chosen = torchvision.ops.nms(boxes[n][kept], scores[n, c][kept], threshold)[:most]
            rows += [[n, c, int(kept[i])] for i in chosen]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)


def nms_case(name, most=4, threshold=0.3, least=None, center=False, flipped=False):
    corner = uniform("nms", 0, 6, 2, 12, 2)
    boxes = np.concatenate([corner, corner + uniform("nms_size", 1, 4, 2, 12, 2)], -1)
    scores = uniform("nms_scores", 0, 1, 2, 3, 12)
    given = boxes
    if center:
        given = np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2,
                                boxes[..., 2:] - boxes[..., :2]], -1).astype(np.float32)
    if flipped:
        given = boxes[..., [2, 1, 0, 3]]
    inputs = {"boxes": given, "scores": scores,
              "most": None if most is None else ints(most),
              "threshold": None if threshold is None else np.array([threshold], np.float32),
              "least": None if least is None else np.array([least], np.float32)}
    return case(name, "NonMaxSuppression", inputs,
                lambda b, s, *_: suppressed(torch.tensor(boxes).double(), s, most or 0,
                                            threshold or 0.0, least),
                attrs={"center_point_box": 1} if center else {}, opset=11,
                constants=tuple(inputs), grads=[])


def non_max_suppression():
    yield nms_case("nms")
    yield nms_case("nms_many", most=12, threshold=0.6)
    yield nms_case("nms_scores", most=12, threshold=0.5, least=0.4)
    yield nms_case("nms_nothing", least=2.0)
    yield nms_case("nms_center", center=True)
    yield nms_case("nms_flipped", flipped=True)
    yield nms_case("nms_defaults", most=None, threshold=None)
    yield nms_case("nms_no_threshold", most=5, threshold=None)
    boxes, scores = uniform("nf", 0, 1, 1, 2, 4), uniform("nfs", 0, 1, 1, 1, 2)
    yield failure("nms_of_picture", "NonMaxSuppression", {"boxes": boxes, "scores": scores},
                  "UNSUPPORTED", opset=11)
    yield failure("nms_bad_extent", "NonMaxSuppression",
                  {"boxes": boxes, "scores": uniform("nfx", 0, 1, 1, 1, 3)}, "SHAPE", opset=11,
                  constants=("boxes", "scores"))


def cases():
    yield from top_k()
    yield from nonzero()
    yield from compress()
    yield from non_max_suppression()
