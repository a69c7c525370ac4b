# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements: reshapes, transposes, parts of a whole, repeats, and casts."""

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto

from op_case import case, failure, ints, normal, scalar

LOWEST, HIGHEST = -2**63, 2**63 - 1


def views():
    x = normal("views", 2, 3, 4, 5)
    yield case("identity", "Identity", {"x": x}, lambda x: x * 1)
    yield case("identity_int", "Identity", {"x": ints(1, 2)}, lambda x: x)
    yield case("dropout", "Dropout", {"x": x}, lambda x: x * 1, opset=13)
    yield case("dropout_mask", "Dropout", {"x": x}, lambda x: (x * 1, torch.ones_like(x) > 0),
               outputs=2, opset=13)
    yield case("dropout_training", "Dropout", {"x": x, "ratio": scalar(0), "training": scalar(
        True, np.bool_)}, lambda x, r, t: x * 1, constants=["ratio", "training"])
    yield case("dropout_ratio", "Dropout", {"x": x}, lambda x: x * 1, opset=10,
               attrs={"ratio": 0.9})
    yield case("dropout_seed", "Dropout", {"x": x}, lambda x: x * 1, opset=13, attrs={"seed": 7})
    yield case("dropout_opset6", "Dropout", {"x": x}, lambda x: x * 1, opset=6,
               attrs={"ratio": 0.5, "is_test": 1})
    for axis in (-4, -1, 0, 1, 2, 3, 4):
        yield case(f"flatten_{axis}".replace("-", "m"), "Flatten", {"x": x},
                   lambda x, a=axis: x.reshape(int(np.prod(x.shape[:a])), -1) if a
                   else x.reshape(1, -1), attrs={"axis": axis})
    yield case("flatten_default", "Flatten", {"x": x}, lambda x: x.flatten(1))
    yield case("flatten_scalar", "Flatten", {"x": scalar(3)}, lambda x: x.reshape(1, 1),
               attrs={"axis": 0})
    yield failure("flatten_axis", "Flatten", {"x": x}, "MODEL", attrs={"axis": 5})


def reshapes():
    x = normal("reshapes", 2, 3, 4)

    def reshape(name, shape, to, **more):
        return case(f"reshape_{name}", "Reshape", {"x": x, "shape": ints(shape)},
                    lambda x, s: x.reshape(to), constants=["shape"], **more)

    yield reshape("plain", [6, 4], (6, 4))
    yield reshape("minus", [2, -1], (2, 12))
    yield reshape("zero", [0, -1], (2, 12))
    yield reshape("zeros", [0, 0, 2, -1], (2, 3, 2, 2))
    yield reshape("flat", [-1], (24,))
    yield reshape("ones", [1, 2, 1, 12, 1], (1, 2, 1, 12, 1))
    yield reshape("allowzero", [4, 6], (4, 6), attrs={"allowzero": 1}, opset=14)
    yield case("reshape_empty", "Reshape", {"x": np.zeros((0, 3), np.float32), "s": ints(3, 0)},
               lambda x, s: x.reshape(3, 0), constants=["s"], attrs={"allowzero": 1})
    yield case("reshape_scalar", "Reshape", {"x": normal("one", 1), "s": ints([])},
               lambda x, s: x.reshape(()), constants=["s"])
    yield case("reshape_attr", "Reshape", {"x": x}, lambda x: x.reshape(4, 6), opset=1,
               attrs={"shape": [4, -1]}, check=False)
    yield case("reshape_int", "Reshape", {"x": ints(1, 2, 3, 4), "s": ints(2, 2)},
               lambda x, s: x.reshape(2, 2), constants=["s"])
    for name, shape, status in (("count", [5, 5], "SHAPE"), ("two_minus", [-1, -1], "MODEL"),
                                ("below", [-2, 12], "MODEL"), ("rest", [-1, 5], "SHAPE"),
                                ("zero_behind", [2, 3, 4, 0], "SHAPE"),
                                ("huge", [2**40, 2**40], "SHAPE"),
                                ("rank", [1] * 9, "UNSUPPORTED"), ("nothing", [0, -1], "SHAPE")):
        more = {"attrs": {"allowzero": 1}} if name == "nothing" else {}
        yield failure(f"reshape_bad_{name}", "Reshape", {"x": x, "s": ints(shape)}, status,
                      constants=["s"], **more)
    yield failure("reshape_fed", "Reshape", {"x": x, "s": ints(6, 4)}, "UNSUPPORTED")


def squeezes():
    x = normal("squeezes", 1, 3, 1, 4)
    yield case("squeeze_all", "Squeeze", {"x": x}, lambda x: x.squeeze())
    for name, axes, to in (("one", [0], (3, 1, 4)), ("two", [0, 2], (3, 4)),
                           ("negative", [-2], (1, 3, 4)), ("none", [], (1, 3, 1, 4))):
        yield case(f"squeeze_{name}", "Squeeze", {"x": x, "axes": ints(axes)},
                   lambda x, a, to=to: x.reshape(to), constants=["axes"])
    yield case("squeeze_attr", "Squeeze", {"x": x}, lambda x: x.reshape(3, 4), opset=11,
               attrs={"axes": [0, -2]})
    yield failure("squeeze_wide", "Squeeze", {"x": x, "a": ints(1)}, "SHAPE", constants=["a"])
    yield failure("squeeze_twice", "Squeeze", {"x": x, "a": ints(0, -4)}, "MODEL", constants=["a"])
    y = normal("unsqueezes", 3, 4)
    for name, axes, to in (("front", [0], (1, 3, 4)), ("back", [-1], (3, 4, 1)),
                           ("many", [4, 0, -2], (1, 3, 4, 1, 1)), ("inner", [1], (3, 1, 4))):
        yield case(f"unsqueeze_{name}", "Unsqueeze", {"x": y, "axes": ints(axes)},
                   lambda x, a, to=to: x.reshape(to), constants=["axes"])
    yield case("unsqueeze_attr", "Unsqueeze", {"x": y}, lambda x: x.reshape(1, 3, 1, 4), opset=11,
               attrs={"axes": [0, 2]})
    yield case("unsqueeze_scalar", "Unsqueeze", {"x": scalar(2), "axes": ints(0)},
               lambda x, a: x.reshape(1), constants=["axes"])
    yield failure("unsqueeze_twice", "Unsqueeze", {"x": y, "a": ints(0, 0)}, "MODEL",
                  constants=["a"])
    yield failure("unsqueeze_rank", "Unsqueeze", {"x": y, "a": ints(0, 1, 2, 3, 4, 5, 6)},
                  "UNSUPPORTED", constants=["a"])


def transposes():
    for perm in ([1, 0], [0, 2, 1], [2, 0, 1], [0, 2, 3, 1], [0, 3, 1, 2], [0, 2, 1, 3, 4],
                 [0, 1, 3, 2, 4, 5], [0, 2, 4, 3, 5, 1], [0, 5, 1, 3, 2, 4], [0, 1, 2],
                 [7, 6, 5, 4, 3, 2, 1, 0]):
        shape = (2, 3, 4, 5, 2, 3, 1, 2)[:len(perm)] if len(perm) < 6 else (2, 1, 3, 2, 2, 3, 1, 2)
        name = "transpose_" + "".join(map(str, perm))
        yield case(name, "Transpose", {"x": normal(name, *shape[:len(perm)])},
                   lambda x, p=perm: x.permute(p) * 1, attrs={"perm": perm})
    yield case("transpose_default", "Transpose", {"x": normal("td", 2, 3, 4)},
               lambda x: x.permute(2, 1, 0))
    yield case("transpose_scalar", "Transpose", {"x": scalar(1)}, lambda x: x * 1)
    yield case("transpose_int", "Transpose", {"x": ints(1, 2, 3, 4, 5, 6).reshape(2, 3)},
               lambda x: x.T)
    yield case("transpose_large", "Transpose", {"x": normal("tl", 2, 130, 70)},
               lambda x: x.permute(0, 2, 1) * 1, attrs={"perm": [0, 2, 1]}, fd=False)
    yield failure("transpose_length", "Transpose", {"x": normal("t", 2, 3)}, "MODEL",
                  attrs={"perm": [0, 1, 2]})
    yield failure("transpose_twice", "Transpose", {"x": normal("t", 2, 3)}, "MODEL",
                  attrs={"perm": [0, 0]})
    yield failure("transpose_outside", "Transpose", {"x": normal("t", 2, 3)}, "MODEL",
                  attrs={"perm": [0, 2]})


def concats():
    shapes = [(2, 3, 4), (2, 1, 4), (2, 5, 4)]
    for axis in (1, -2):
        name = f"concat_{axis}".replace("-", "m")
        yield case(name, "Concat", {f"x{i}": normal(name + str(i), *s)
                                    for i, s in enumerate(shapes)},
                   lambda *t: torch.cat(t, 1), attrs={"axis": axis})
    for axis in (0, 2):
        name = f"concat_{axis}"
        yield case(name, "Concat", {f"x{i}": normal(name + str(i), 2, 3, 4) for i in range(3)},
                   lambda *t, a=axis: torch.cat(t, a), attrs={"axis": axis})
    yield case("concat_one", "Concat", {"x": normal("c1", 3)}, lambda x: x * 1, attrs={"axis": 0})
    yield case("concat_constant", "Concat", {"x": normal("cc", 1, 1, 4), "b": normal("cd", 1, 6, 4)},
               lambda x, b: torch.cat([x, b], 1), attrs={"axis": 1}, constants=["x"])
    yield case("concat_empty", "Concat", {"x": normal("ce", 2, 0), "b": normal("cf", 2, 3)},
               lambda x, b: torch.cat([x, b], 1), attrs={"axis": 1})
    yield case("concat_int", "Concat", {"x": ints(1, 2), "b": ints(3)},
               lambda x, b: torch.cat([x, b]), attrs={"axis": 0})
    yield case("concat_twice", "Concat", {"x": normal("ct", 2, 3)}, lambda x: torch.cat([x, x], 1),
               nodes=[("Concat", ["x", "x"], ["y"], {"axis": 1})])
    yield failure("concat_shapes", "Concat", {"x": normal("c", 2, 3), "b": normal("c", 3, 3)},
                  "SHAPE", attrs={"axis": 1})
    yield failure("concat_axis", "Concat", {"x": normal("c", 2, 3)}, "MODEL", attrs={"axis": 2})


def splits():
    x = normal("splits", 2, 6, 3)
    yield case("split_sizes", "Split", {"x": x, "split": ints(1, 3, 2)},
               lambda x, s: torch.split(x, [1, 3, 2], 1), constants=["split"], outputs=3,
               attrs={"axis": 1})
    yield case("split_negative", "Split", {"x": x, "split": ints(2, 1)},
               lambda x, s: torch.split(x, [2, 1], 2), constants=["split"], outputs=2,
               attrs={"axis": -1})
    yield case("split_equal", "Split", {"x": x}, lambda x: torch.split(x, 1, 0), outputs=2)
    yield case("split_absent", "Split", {"x": x}, lambda x: torch.split(x, 2, 1)[::2],
               outputs=["a", "", "c"], attrs={"axis": 1})
    yield case("split_num_outputs", "Split", {"x": x}, lambda x: torch.split(x, 2, 1), opset=18,
               outputs=3, attrs={"axis": 1, "num_outputs": 3}, check=False)
    yield case("split_uneven", "Split", {"x": x}, lambda x: torch.split(x, 2, 2), opset=18,
               outputs=2, attrs={"axis": 2, "num_outputs": 2}, check=False)
    yield case("split_attr", "Split", {"x": x}, lambda x: torch.split(x, [4, 2], 1), opset=11,
               outputs=2, attrs={"axis": 1, "split": [4, 2]})
    yield case("split_int", "Split", {"x": ints(1, 2, 3, 4)}, lambda x: torch.split(x, 2),
               outputs=2)
    yield case("split_part_used", "Split", {"x": x},
               lambda x: torch.relu(torch.split(x, 2, 1)[1]), outputs=["y"],
               nodes=[("Split", ["x"], ["a", "b", "c"], {"axis": 1}), ("Relu", ["b"], ["y"], {})])
    yield failure("split_sum", "Split", {"x": x, "s": ints(1, 3)}, "SHAPE", constants=["s"],
                  attrs={"axis": 1}, outputs=2)
    yield failure("split_count", "Split", {"x": x, "s": ints(6)}, "MODEL", constants=["s"],
                  attrs={"axis": 1}, outputs=2)
    yield failure("split_below", "Split", {"x": x, "s": ints(-1, 7)}, "MODEL", constants=["s"],
                  attrs={"axis": 1}, outputs=2)


def slices():
    x = normal("slices", 4, 5, 6)

    def cut(name, starts, ends, axes, steps, forward, **more):
        inputs = {"x": x, "starts": ints(starts), "ends": ints(ends),
                  "axes": None if axes is None else ints(axes),
                  "steps": None if steps is None else ints(steps)}
        return case(f"slice_{name}", "Slice", inputs, lambda x, *_: forward(x) * 1,
                    constants=[k for k in inputs if k != "x"], **more)

    yield cut("plain", [1, 0, 2], [3, 5, 6], None, None, lambda x: x[1:3, :, 2:])
    yield cut("axis", [1], [4], [1], None, lambda x: x[:, 1:4])
    yield cut("negative", [-3], [-1], [-1], None, lambda x: x[:, :, -3:-1])
    yield cut("to_end", [2], [HIGHEST], [2], None, lambda x: x[:, :, 2:])
    yield cut("step", [0, 1], [HIGHEST, HIGHEST], [1, 2], [2, 2], lambda x: x[:, ::2, 1::2])
    yield cut("step3", [1], [HIGHEST], [2], [3], lambda x: x[:, :, 1::3])
    yield cut("back", [-1], [LOWEST], [0], [-1], lambda x: x.flip(0))
    yield cut("back_lowest1", [-1], [LOWEST + 1], [2], [-1], lambda x: x.flip(2))
    yield cut("back_step", [4, 5], [0, LOWEST], [1, 2], [-2, -3],
              lambda x: x[:, [4, 2]][:, :, [5, 2]])
    yield cut("back_clamped", [HIGHEST], [-HIGHEST], [1], [-1], lambda x: x.flip(1))
    yield cut("clamped", [-100], [100], [1], None, lambda x: x)
    yield cut("empty", [3], [1], [1], None, lambda x: x[:, 3:1])
    yield cut("order", [2, 1], [4, 3], [2, 0], None, lambda x: x[1:3, :, 2:4])
    yield cut("huge_step", [1], [HIGHEST], [0], [HIGHEST], lambda x: x[1:2])
    yield cut("lowest_step", [2], [LOWEST], [0], [LOWEST], lambda x: x[2:3])
    yield case("slice_attrs", "Slice", {"x": x}, lambda x: x[1:3, :, -2:] * 1, opset=9,
               attrs={"starts": [1, -2], "ends": [3, 1000], "axes": [0, 2]})
    yield case("slice_attrs_no_axes", "Slice", {"x": x}, lambda x: x[1:3, 2:4] * 1, opset=9,
               attrs={"starts": [1, 2], "ends": [3, 4]})
    yield case("slice_int", "Slice", {"x": ints(3, 1, 4, 1, 5), "s": ints(-1), "e": ints(LOWEST),
                                      "a": ints(0), "t": ints(-1)},
               lambda x, *_: x.flip(0), constants=["s", "e", "a", "t"])
    for name, starts, axes, steps, status in (("zero_step", [0], [0], [0], "MODEL"),
                                              ("axis", [0], [3], [1], "MODEL"),
                                              ("twice", [0, 0], [0, -3], [1, 1], "MODEL"),
                                              ("lengths", [0, 0], [0], [1, 1], "MODEL")):
        yield failure(f"slice_bad_{name}", "Slice", {"x": x, "s": ints(starts), "e": ints(starts),
                                                     "a": ints(axes), "t": ints(steps)}, status,
                      constants=["s", "e", "a", "t"])


def repeats():
    def expand(name, shape, to, **more):
        return case(f"expand_{name}", "Expand", {"x": normal(name, *shape), "shape": ints(to)},
                    lambda x, s: x.expand(torch.broadcast_shapes(shape, tuple(to))) * 1,
                    constants=["shape"], **more)

    yield expand("front", (3, 4), [2, 3, 4])
    yield expand("middle", (2, 1, 4), [2, 3, 4])
    yield expand("outer", (3, 1), [3, 4])
    yield expand("both", (3, 1), [2, 1, 4])
    yield expand("smaller", (2, 3, 4), [1, 4])
    yield expand("scalar", (), [2, 3])
    yield expand("rank8", (2, 1, 1), [2, 1, 2, 1, 2, 2, 1, 3])
    yield case("expand_int", "Expand", {"x": ints(5), "s": ints(3)}, lambda x, s: x.expand(3),
               constants=["s"])
    yield failure("expand_mismatch", "Expand", {"x": normal("e", 3), "s": ints(4)}, "SHAPE",
                  constants=["s"])
    yield failure("expand_huge", "Expand", {"x": normal("e", 1), "s": ints(2**40)}, "LIMIT",
                  constants=["s"])
    yield failure("expand_negative", "Expand", {"x": normal("e", 1), "s": ints(-5)}, "SHAPE",
                  constants=["s"])

    def tile(name, shape, times, **more):
        return case(f"tile_{name}", "Tile", {"x": normal(name, *shape), "repeats": ints(times)},
                    lambda x, r: x.repeat(*times) if times else x * 1, constants=["repeats"], **more)

    yield tile("inner", (2, 3), [1, 2])
    yield tile("outer", (2, 3), [3, 1])
    yield tile("all", (2, 3, 2), [2, 1, 3])
    yield tile("once", (2, 3), [1, 1])
    yield tile("row", (4,), [5])
    yield tile("zero", (2, 3), [0, 2])
    yield tile("scalar", (), [])
    yield case("tile_int", "Tile", {"x": ints(1, 2), "r": ints(2)}, lambda x, r: x.repeat(2),
               constants=["r"])
    yield failure("tile_huge", "Tile", {"x": normal("t", 3), "r": ints(2**62)}, "LIMIT",
                  constants=["r"])
    yield failure("tile_negative", "Tile", {"x": normal("t", 3), "r": ints(-1)}, "LIMIT",
                  constants=["r"])
    yield failure("tile_length", "Tile", {"x": normal("t", 3), "r": ints(1, 2)}, "MODEL",
                  constants=["r"])


def depth_and_space():
    x, b = normal("d2s", 2, 12, 2, 3), 2

    def dcr(x, b):
        n, c, h, w = x.shape
        y = x.reshape(n, b, b, c // (b * b), h, w)
        return y.permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)

    def deep(x, b):
        n, c, h, w = x.shape
        y = x.reshape(n, c, h // b, b, w // b, b)
        return y.permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)

    yield case("depth_to_space", "DepthToSpace", {"x": x}, lambda x: dcr(x, b),
               attrs={"blocksize": b})
    yield case("depth_to_space_dcr", "DepthToSpace", {"x": x}, lambda x: dcr(x, b),
               attrs={"blocksize": b, "mode": "DCR"})
    yield case("depth_to_space_crd", "DepthToSpace", {"x": x}, lambda x: F.pixel_shuffle(x, b),
               attrs={"blocksize": b, "mode": "CRD"})
    yield case("depth_to_space_3", "DepthToSpace", {"x": normal("d3", 1, 9, 2, 2)},
               lambda x: F.pixel_shuffle(x, 3), attrs={"blocksize": 3, "mode": "CRD"})
    yield case("space_to_depth", "SpaceToDepth", {"x": normal("s2d", 2, 3, 4, 6)},
               lambda x: deep(x, 2), attrs={"blocksize": 2})
    yield case("space_to_depth_3", "SpaceToDepth", {"x": normal("s3d", 1, 2, 3, 6)},
               lambda x: deep(x, 3), attrs={"blocksize": 3})
    yield failure("depth_to_space_channels", "DepthToSpace", {"x": normal("d", 1, 6, 2, 2)},
                  "SHAPE", attrs={"blocksize": 2})
    yield failure("depth_to_space_rank", "DepthToSpace", {"x": normal("d", 4, 2, 2)}, "SHAPE",
                  attrs={"blocksize": 2})
    yield failure("depth_to_space_block", "DepthToSpace", {"x": x}, "MODEL",
                  attrs={"blocksize": 0})
    yield failure("space_to_depth_rows", "SpaceToDepth", {"x": normal("s", 1, 1, 3, 4)}, "SHAPE",
                  attrs={"blocksize": 2})


def casts():
    x = np.array([-300.7, -1.5, -0.5, 0, 0.5, 1.5, 129.9, 300.2], np.float32)
    yield case("cast_float_double", "Cast", {"x": x}, lambda x: x * 1,
               attrs={"to": TensorProto.DOUBLE})
    yield case("cast_half_float", "Cast", {"x": x.astype(np.float16)}, lambda x: x * 1,
               attrs={"to": TensorProto.FLOAT})
    yield case("cast_float_half", "Cast", {"x": np.array([0.5, 2, -7], np.float32)},
               lambda x: x * 1, attrs={"to": TensorProto.FLOAT16})
    for to, dtype in (("INT64", np.int64), ("INT32", np.int32), ("INT16", np.int16)):
        yield case(f"cast_float_{to.lower()}", "Cast", {"x": x},
                   lambda x, t=dtype: torch.tensor(x.numpy().astype(t).astype(np.int64)),
                   attrs={"to": getattr(TensorProto, to)}, grads=[])
    inside = np.array([0, 1.9, 127.5], np.float32)
    for to in ("INT8", "UINT8", "UINT32"):
        yield case(f"cast_float_{to.lower()}", "Cast", {"x": inside}, lambda x: x.trunc().long(),
                   attrs={"to": getattr(TensorProto, to)}, grads=[])
    yield case("cast_float_bool", "Cast", {"x": np.array([0, 0.1, -2, np.nan], np.float32)},
               lambda x: x != 0, attrs={"to": TensorProto.BOOL}, grads=[])
    wide = ints(-1, 0, 127, 128, 255, 256, 2**31, 2**32 + 5)
    for to, dtype in (("INT8", np.int8), ("UINT8", np.uint8), ("INT16", np.int16),
                      ("UINT16", np.uint16), ("INT32", np.int32), ("UINT32", np.uint32)):
        yield case(f"cast_int64_{to.lower()}", "Cast", {"x": wide},
                   lambda x, t=dtype: torch.tensor(wide.astype(t).astype(np.int64)),
                   attrs={"to": getattr(TensorProto, to)})
    yield case("cast_int64_bool", "Cast", {"x": ints(-1, 0, 7)}, lambda x: x != 0,
               attrs={"to": TensorProto.BOOL})
    yield case("cast_int64_float", "Cast", {"x": ints(-1, 0, 2**24 + 1)}, lambda x: x.double(),
               attrs={"to": TensorProto.FLOAT})
    yield case("cast_bool_float", "Cast", {"x": np.array([True, False])}, lambda x: x.double(),
               attrs={"to": TensorProto.FLOAT})
    yield case("cast_opset1", "Cast", {"x": x}, lambda x: x.trunc().long(), opset=5,
               attrs={"to": "INT64"}, grads=[], check=False)
    yield case("cast_like", "CastLike", {"x": x, "like": ints(1)}, lambda x, l: x.trunc().long(),
               grads=[])
    yield case("cast_like_float", "CastLike", {"x": x, "like": scalar(1, np.float16)},
               lambda x, l: x * 1, grads=["x"])
    yield failure("cast_string", "Cast", {"x": x}, "UNSUPPORTED", attrs={"to": TensorProto.STRING})
    yield failure("cast_unknown", "Cast", {"x": x}, "UNSUPPORTED", attrs={"to": 99})


def cases():
    yield from views()
    yield from reshapes()
    yield from squeezes()
    yield from transposes()
    yield from concats()
    yield from splits()
    yield from slices()
    yield from repeats()
    yield from depth_and_space()
    yield from casts()
