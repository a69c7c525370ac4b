# SPDX-License-Identifier: Apache-2.0
"""Operators with an index tensor or along one axis."""

import numpy as np
import torch

from op_case import case, failure, generator, ints, normal, scalar


def elements():
    x = normal("elements", 3, 4, 5)
    for axis, shape in ((0, (2, 4, 5)), (1, (3, 6, 5)), (-1, (3, 2, 3))):
        tag = str(axis).replace("-", "m")
        rng = generator(f"elements{axis}")
        extent = x.shape[axis]
        indices = rng.integers(-extent, extent, shape)
        yield case(f"gather_elements_{tag}", "GatherElements", {"x": x, "i": indices},
                   lambda x, i, a=axis, e=extent: torch.gather(x, a, i % e), attrs={"axis": axis})
    yield failure("gather_elements_above", "GatherElements", {"x": x, "i": np.full((1, 1, 1), 3)},
                  "MODEL")
    yield failure("gather_elements_rank", "GatherElements", {"x": x, "i": ints(0)}, "SHAPE")
    i = np.array([[2, -2, 0], [1, 0, -1]])
    data, updates = normal("scatter", 2, 5), normal("updates", 2, 3)
    yield case("scatter_elements", "ScatterElements", {"x": data, "i": i, "u": updates},
               lambda x, i, u: x.scatter(1, i % 5, u), attrs={"axis": 1}, opset=16)
    yield case("scatter_elements_add", "ScatterElements",
               {"x": data, "i": np.array([[1, 1, 0], [4, -1, 4]]), "u": updates},
               lambda x, i, u: x.scatter_add(1, i % 5, u), attrs={"axis": -1, "reduction": "add"},
               opset=16)
    yield case("scatter_elements_mul", "ScatterElements",
               {"x": data, "i": np.array([[1, 1, 0], [4, -1, 4]]), "u": updates},
               lambda x, i, u: x.scatter_reduce(1, i % 5, u, "prod"), opset=16,
               attrs={"axis": 1, "reduction": "mul"})
    for mode in ("min", "max"):
        yield case(f"scatter_elements_{mode}", "ScatterElements", {"x": data, "i": i, "u": updates},
                   lambda x, i, u, m=mode: x.scatter_reduce(1, i % 5, u, "a" + m), opset=18,
                   attrs={"axis": 1, "reduction": mode}, check=False)
    # Elements and updates that are equal; none, one and two factors that are zero.
    equal = {"x": np.array([[0, 2, 3, 0, 5]], np.float32), "i": np.array([[0, 1, 1, 2, 3, 4, 4]]),
             "u": np.array([[0, 2, 2, 0, 7, 1, 5]], np.float32)}
    for mode, name in (("mul", "prod"), ("min", "amin"), ("max", "amax")):
        yield case(f"scatter_elements_{mode}_equal", "ScatterElements", equal,
                   lambda x, i, u, n=name: x.scatter_reduce(1, i, u, n), opset=18,
                   attrs={"axis": 1, "reduction": mode}, check=False, fd=mode == "mul")
    yield case("scatter_old", "Scatter", {"x": data, "i": i % 5, "u": updates},
               lambda x, i, u: x.scatter(1, i, u), attrs={"axis": 1}, opset=9)
    yield case("scatter_elements_int", "ScatterElements", {"x": ints(1, 2, 3), "i": ints(0, 2),
                                                           "u": ints(7, 8)},
               lambda x, i, u: torch.tensor([7, 2, 8]))
    yield failure("scatter_elements_above", "ScatterElements",
                  {"x": data, "i": np.full((1, 1), 5), "u": normal("u", 1, 1)}, "MODEL",
                  attrs={"axis": 1})
    yield failure("scatter_elements_shape", "ScatterElements",
                  {"x": data, "i": i, "u": normal("u", 2, 2)}, "SHAPE", attrs={"axis": 1})


def tuples():
    x = normal("tuples", 3, 4, 5)
    yield case("gather_nd", "GatherND", {"x": x, "i": np.array([[0, 1, 2], [2, -1, -5]])},
               lambda x, i: torch.stack([x[0, 1, 2], x[2, 3, 0]]))
    yield case("gather_nd_rows", "GatherND", {"x": x, "i": np.array([[[1, 0]], [[1, 0]]])},
               lambda x, i: torch.stack([x[1, 0], x[1, 0]]).reshape(2, 1, 5))
    yield case("gather_nd_one", "GatherND", {"x": x, "i": np.array([[2], [0]])},
               lambda x, i: x[[2, 0]])
    yield case("gather_nd_batch", "GatherND", {"x": x, "i": np.array([[1], [0], [3]])},
               lambda x, i: torch.stack([x[0, 1], x[1, 0], x[2, 3]]), attrs={"batch_dims": 1})
    yield case("gather_nd_batch2", "GatherND",
               {"x": normal("gn", 2, 2, 3), "i": np.array([[[[1], [0]], [[2], [2]]],
                                                           [[[0], [-1]], [[1], [1]]]])},
               lambda x, i: torch.gather(x, 2, i.squeeze(-1) % 3), attrs={"batch_dims": 2})
    yield failure("gather_nd_above", "GatherND", {"x": x, "i": np.array([[3]])}, "MODEL")
    yield failure("gather_nd_long", "GatherND", {"x": x, "i": np.array([[0, 0, 0, 0]])}, "SHAPE")
    yield failure("gather_nd_batch_differs", "GatherND", {"x": x, "i": np.array([[1], [0]])},
                  "SHAPE", attrs={"batch_dims": 1})

    def put(x, rows, values, accumulate=False):
        return x.index_put(tuple(torch.tensor(r) for r in rows), values, accumulate=accumulate)

    yield case("scatter_nd", "ScatterND",
               {"x": x, "i": np.array([[0, 1], [2, -1]]), "u": normal("u2", 2, 5)},
               lambda x, i, u: put(x, ([0, 2], [1, 3]), u))
    yield case("scatter_nd_elements", "ScatterND",
               {"x": x, "i": np.array([[0, 1, 2]]), "u": normal("u3", 1)},
               lambda x, i, u: put(x, ([0], [1], [2]), u))
    yield case("scatter_nd_add", "ScatterND",
               {"x": x, "i": np.array([[1], [1]]), "u": normal("u4", 2, 4, 5)},
               lambda x, i, u: put(x, ([1, 1],), u, True), attrs={"reduction": "add"}, opset=16)
    for mode, name in (("mul", "prod"), ("min", "amin"), ("max", "amax")):
        rows = torch.tensor([1, 2, 1])
        yield case(f"scatter_nd_{mode}", "ScatterND",
                   {"x": x, "i": np.array([[1], [2], [1]]), "u": normal("u5", 3, 4, 5)},
                   lambda x, i, u, n=name: x.scatter_reduce(0, rows[:, None, None].expand(3, 4, 5), u,
                                                            n),
                   attrs={"reduction": mode}, opset=18, check=False)
    yield case("scatter_nd_int", "ScatterND", {"x": ints(1, 2, 3), "i": np.array([[1]]),
                                               "u": ints(9)}, lambda x, i, u: torch.tensor([1, 9, 3]))
    yield case("scatter_nd_constant", "ScatterND",
               {"x": normal("sc", 4), "i": np.array([[1], [3]]), "u": normal("su", 2)},
               lambda x, i, u: put(x, ([1, 3],), u), constants=["i", "u"])
    yield failure("scatter_nd_above", "ScatterND",
                  {"x": x, "i": np.array([[3]]), "u": normal("u", 1, 4, 5)}, "MODEL")
    yield failure("scatter_nd_updates", "ScatterND",
                  {"x": x, "i": np.array([[0]]), "u": normal("u", 1, 4, 4)}, "SHAPE")


def extremes():
    x = normal("argmax", 3, 4, 5)
    for op, forward in (("ArgMax", torch.argmax), ("ArgMin", torch.argmin)):
        for axis in (0, 1, -1):
            tag = f"{op.lower()}_{axis}".replace("-", "m")
            yield case(tag, op, {"x": x}, lambda x, a=axis, f=forward: f(x, a, True), grads=[],
                       attrs={"axis": axis})
        yield case(f"{op.lower()}_flat", op, {"x": x}, lambda x, f=forward: f(x, 2), grads=[],
                   attrs={"axis": 2, "keepdims": 0})
        ties = np.array([[1, 3, 3, 1, 1]], np.float32)
        yield case(f"{op.lower()}_first", op, {"x": ties}, lambda x, o=op:
                   torch.tensor([[1 if o == "ArgMax" else 0]]), attrs={"axis": 1}, grads=[])
        yield case(f"{op.lower()}_last", op, {"x": ties}, lambda x, o=op:
                   torch.tensor([[2 if o == "ArgMax" else 4]]), grads=[],
                   attrs={"axis": 1, "select_last_index": 1})
        yield case(f"{op.lower()}_int", op, {"x": ints(3, 9, -2).astype(np.int32)},
                   lambda x, f=forward: f(x, 0, True))
        yield case(f"{op.lower()}_nan", op, {"x": np.array([3, np.nan, 9, np.nan], np.float32)},
                   lambda x: torch.tensor([1]), grads=[])
    yield failure("argmax_empty", "ArgMax", {"x": np.zeros((0, 2), np.float32)}, "SHAPE")
    yield failure("argmax_axis", "ArgMax", {"x": x}, "MODEL", attrs={"axis": 3})


def sums():
    x = normal("cumsum", 3, 4, 2)

    for axis in (0, 1, -1):
        name = f"cumsum_{axis}".replace("-", "m")
        inputs = {"x": x, "axis": scalar(axis, np.int64)}
        flip = lambda t, a=axis: t.flip(a)
        add = lambda t, a=axis: torch.cumsum(t, a)
        yield case(name, "CumSum", inputs, lambda x, a, add=add: add(x), constants=["axis"])
        yield case(name + "_exclusive", "CumSum", inputs, lambda x, a, add=add: add(x) - x,
                   constants=["axis"], attrs={"exclusive": 1})
        yield case(name + "_reverse", "CumSum", inputs,
                   lambda x, a, add=add, flip=flip: flip(add(flip(x))), constants=["axis"],
                   attrs={"reverse": 1})
        yield case(name + "_both", "CumSum", inputs,
                   lambda x, a, add=add, flip=flip: flip(add(flip(x))) - x, constants=["axis"],
                   attrs={"reverse": 1, "exclusive": 1})
    yield case("cumsum_int", "CumSum", {"x": ints(1, 2, 3).astype(np.int32), "axis": ints(0)},
               lambda x, a: torch.cumsum(x, 0), constants=["axis"])


def triangles():
    x = normal("trilu", 2, 4, 5)
    for upper in (0, 1):
        for k in (None, 0, 2, -1, 9, -9):
            name = f"trilu_{upper}_{k}".replace("-", "m").lower()
            function = torch.triu if upper else torch.tril
            yield case(name, "Trilu", {"x": x, "k": None if k is None else scalar(k, np.int64)},
                       lambda x, _, f=function, k=k: f(x, k or 0),
                       constants=[] if k is None else ["k"], attrs={"upper": upper})
    yield case("trilu_int", "Trilu", {"x": ints(1, 2, 3, 4).reshape(2, 2)}, torch.triu)
    yield failure("trilu_rank", "Trilu", {"x": normal("t", 3)}, "SHAPE")


def one_hots():
    def one_hot(name, indices, depth, axis, values, forward):
        inputs = {"i": indices, "d": scalar(depth, np.int64), "v": values}
        return case(f"one_hot_{name}", "OneHot", inputs, forward, constants=["d"], grads=[],
                    attrs={} if axis is None else {"axis": axis})

    hot = torch.nn.functional.one_hot
    pair = np.array([0, 1], np.float32)
    yield one_hot("default", ints(0, 2, -1), 3, None, pair, lambda i, d, v: hot(i % 3, 3).double())
    yield one_hot("first", ints(0, 2, 1), 4, 0, pair, lambda i, d, v: hot(i, 4).T.double())
    yield one_hot("middle", np.array([[0, 1], [2, 2]]), 3, 1, np.array([-2, 5]),
                  lambda i, d, v: hot(i, 3).permute(0, 2, 1) * 7 - 2)
    yield one_hot("outside", ints(5, -7, 1), 3, None, pair,
                  lambda i, d, v: torch.tensor([[0., 0, 0], [0, 0, 0], [0, 1, 0]]))
    yield one_hot("float", np.array([1, 0], np.float32), 2, -1, pair,
                  lambda i, d, v: torch.tensor([[0., 1], [1, 0]]))
    yield failure("one_hot_huge", "OneHot", {"i": ints(0), "d": scalar(2**50, np.int64),
                                             "v": pair}, "LIMIT", constants=["d"])


def cases():
    yield from elements()
    yield from tuples()
    yield from extremes()
    yield from sums()
    yield from triangles()
    yield from one_hots()
