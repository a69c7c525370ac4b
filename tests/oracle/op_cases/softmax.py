# SPDX-License-Identifier: Apache-2.0
"""Softmax, LogSoftmax, Hardmax, in both of their meanings."""

import numpy as np
import torch
import torch.nn.functional as F

from op_case import case, failure, normal

SHAPE = (2, 3, 4)
FUNCTIONS = {"Softmax": torch.softmax, "LogSoftmax": torch.log_softmax}


def by_axis(op, function, name):
    for axis in (None, 0, 1, 2, -2):
        yield case(f"{name}_{'default' if axis is None else axis % 3}{'n' if axis == -2 else ''}",
                   op, {"x": normal(name, *SHAPE)},
                   lambda x: function(x, -1 if axis is None else axis),
                   attrs={} if axis is None else {"axis": axis})
    yield case(f"{name}_large", op,
               {"x": np.array([[1000, 1001, 999, -1000], [-5000, -5001, -5002, -5000]],
                              np.float32)}, lambda x: function(x, -1))
    yield case(f"{name}_long", op, {"x": normal(name, 2, 1000, scale=3)},
               lambda x: function(x, -1), fd=False)


def by_matrix(op, function, name):
    """Before opset 13: the rest of the axes from `axis` on is one row."""
    def forward(x, axis):
        rows = int(np.prod(x.shape[:axis]))
        return function(x.reshape(rows, -1), 1).reshape(x.shape)

    for axis, opset in ((None, 9), (0, 11), (1, 12), (2, 7), (-1, 11)):
        start = 1 if axis is None else axis % 3
        label = "default" if axis is None else start if axis >= 0 else "negative"
        yield case(f"{name}_matrix_{label}", op, {"x": normal(name, *SHAPE)},
                   lambda x: forward(x, start), opset=opset,
                   attrs={} if axis is None else {"axis": axis})
    yield case(f"{name}_matrix_rank4", op, {"x": normal(name, 2, 5, 1, 1)},
               lambda x: forward(x, 1), opset=7)


def cases():
    for op, function in FUNCTIONS.items():
        yield from by_axis(op, function, op.lower())
        yield from by_matrix(op, function, op.lower())
    x = np.array([[1, 3, 3], [2, 0, 1]], np.float32)
    yield case("hardmax", "Hardmax", {"x": x},
               lambda x: F.one_hot(x.argmax(-1), 3).to(x), grads=[])
    yield case("hardmax_axis", "Hardmax", {"x": normal("hardmax", *SHAPE)},
               lambda x: F.one_hot(x.argmax(1), 3).movedim(-1, 1).to(x), attrs={"axis": 1},
               grads=[])
    yield case("hardmax_matrix", "Hardmax", {"x": normal("hardmax", *SHAPE)},
               lambda x: F.one_hot(x.flatten(2).argmax(-1), x[0, 0].numel()).to(x)
               .reshape(x.shape), attrs={"axis": 2}, grads=[], opset=11)
    yield failure("softmax_bad_axis", "Softmax", {"x": x}, "MODEL", attrs={"axis": 2})
