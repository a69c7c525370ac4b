# SPDX-License-Identifier: Apache-2.0
"""Einsum: any number of operands, diagonals, ellipses, implicit results."""

import torch

from op_case import case, failure, normal


def einsum(name, equation, *shapes, torch_equation=None):
    inputs = {f"x{i}": normal(f"{name}{i}", *shape) for i, shape in enumerate(shapes)}
    return case(f"einsum_{name}", "Einsum", inputs,
                lambda *x: torch.einsum(torch_equation or equation, *x),
                attrs={"equation": equation})


def cases():
    yield einsum("matmul", "ij,jk->ik", (3, 4), (4, 5))
    yield einsum("spaces", "B G H I D, B G H J D -> B G H I J", (1, 2, 2, 3, 4), (1, 2, 2, 3, 4))
    yield einsum("attention", "bhij,bhjd->bhid", (2, 2, 3, 4), (2, 2, 4, 3))
    yield einsum("implicit", "ij,jk", (3, 4), (4, 5))
    yield einsum("implicit_order", "ba", (3, 4))
    yield einsum("transpose", "abc->cab", (2, 3, 4))
    yield einsum("sum", "ij->i", (3, 4))
    yield einsum("total", "ij->", (3, 4))
    yield einsum("outer", "i,j->ij", (3,), (4,))
    yield einsum("dot", "i,i", (5,), (5,))
    yield einsum("trace", "ii->", (4, 4))
    yield einsum("diagonal", "...ii->...i", (2, 3, 3))
    yield einsum("ellipsis", "...ij,...jk->...ik", (2, 3, 4), (2, 4, 5))
    yield einsum("ellipsis_broadcast", "...ij,jk->...ik", (2, 2, 3, 4), (4, 2))
    yield einsum("ellipsis_ranks", "...i,...i->...", (2, 3, 4), (3, 4))
    yield einsum("ellipsis_ones", "...i,...i->...", (2, 1, 4), (3, 4))
    yield einsum("ellipsis_implicit", "...ij,...jk", (2, 3, 4), (2, 4, 2))
    yield einsum("ellipsis_middle", "i...k->...", (2, 3, 4))
    yield einsum("hadamard", "ij,ij->ij", (3, 4), (3, 4))
    yield einsum("three", "ij,jk,kl->il", (2, 3), (3, 4), (4, 2))
    yield einsum("bilinear", "bn,anm,bm->ba", (2, 3), (4, 3, 2), (2, 2))
    x = normal("einsum", 3, 4)

    def bad(name, equation, status, *operands):
        return failure(f"einsum_bad_{name}", "Einsum",
                       {f"x{i}": o for i, o in enumerate(operands)}, status,
                       attrs={"equation": equation})

    yield bad("extent", "ij,jk->ik", "SHAPE", x, x)
    yield bad("rank", "ijk->i", "MODEL", x)
    yield bad("few", "i->i", "MODEL", x)
    yield bad("label", "ij->k", "MODEL", x)
    yield bad("twice", "ij->ii", "MODEL", x)
    yield bad("operands", "ij->ij", "MODEL", x, x)
    yield bad("text", "ij-i", "MODEL", x)
    yield bad("letter", "i1->i", "MODEL", x)
    yield bad("nothing", "", "MODEL", x)
