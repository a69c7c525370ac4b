# SPDX-License-Identifier: Apache-2.0
"""MatMul and Gemm."""

import torch

from op_case import case, failure, normal


def matmul(name, a, b):
    return case(name, "MatMul", {"a": normal(name + "a", *a), "b": normal(name + "b", *b)},
                torch.matmul)


def matmuls():
    yield matmul("matmul", (3, 4), (4, 5))
    yield matmul("matmul_odd", (5, 3), (3, 11))
    yield matmul("matmul_vectors", (6,), (6,))
    yield matmul("matmul_row", (4,), (4, 3))
    yield matmul("matmul_column", (3, 4), (4,))
    yield matmul("matmul_row_batch", (4,), (2, 4, 3))
    yield matmul("matmul_column_batch", (2, 3, 4), (4,))
    yield matmul("matmul_batch", (2, 3, 4), (2, 4, 2))
    yield matmul("matmul_weights", (2, 2, 3, 4), (4, 5))
    yield matmul("matmul_left_matrix", (3, 4), (2, 3, 4, 2))
    yield matmul("matmul_broadcast", (2, 1, 3, 4), (3, 4, 2))
    yield matmul("matmul_broadcast_both", (2, 1, 2, 3), (1, 3, 3, 2))
    yield matmul("matmul_long_inner", (2, 300), (300, 3))
    yield matmul("matmul_many_batches", (10, 2, 3), (10, 3, 2))
    big = {"a": normal("biga", 66, 260), "b": normal("bigb", 260, 10)}
    yield case("matmul_large", "MatMul", big, torch.matmul, fd=False)


def gemm(name, m=3, n=4, k=5, c=None, **attrs):
    trans_a, trans_b = attrs.get("transA", 0), attrs.get("transB", 0)

    def forward(a, b, c=None):
        y = (a.T if trans_a else a) @ (b.T if trans_b else b) * attrs.get("alpha", 1.0)
        return y if c is None else y + c * attrs.get("beta", 1.0)

    inputs = {"a": normal(name + "a", *((k, m) if trans_a else (m, k))),
              "b": normal(name + "b", *((n, k) if trans_b else (k, n)))}
    if c is not None:
        inputs["c"] = normal(name + "c", *c)
    return case(name, "Gemm", inputs, forward, attrs=attrs)


def gemms():
    for trans_a in (0, 1):
        for trans_b in (0, 1):
            yield gemm(f"gemm_{trans_a}{trans_b}", transA=trans_a, transB=trans_b, c=(4,))
    yield gemm("gemm_no_c")
    yield gemm("gemm_alpha_beta", alpha=0.3, beta=-1.7, c=(3, 4))
    yield gemm("gemm_c_scalar", c=())
    yield gemm("gemm_c_one", c=(1,))
    yield gemm("gemm_c_row", c=(1, 4))
    yield gemm("gemm_c_column", c=(3, 1))
    yield gemm("gemm_beta_zero", c=(3, 4), beta=0.0)
    yield gemm("gemm_head", m=1, n=10, k=33, transB=1, c=(10,))
    a, w, c = normal("ga", 2, 5), normal("gw", 4, 5), normal("gc", 4)
    yield case("gemm_opset6", "Gemm", {"a": a, "b": w, "c": c}, lambda a, b, c: a @ b.T + c,
               attrs={"transB": 1, "broadcast": 1}, opset=6, constants=["b", "c"])
    yield case("gemm_constant", "Gemm", {"a": a, "b": w, "c": c}, lambda a, b, c: a @ b.T + c,
               attrs={"transB": 1}, constants=["b", "c"])


def refused():
    def pair(op, a, b, c=None, **attrs):
        inputs = {"a": normal("a", *a), "b": normal("b", *b)}
        if c is not None:
            inputs["c"] = normal("c", *c)
        name = f"{op.lower()}_bad_{'_'.join(str(n) for s in (a, b, c or ()) for n in s)}"
        return failure(name, op, inputs, "SHAPE", attrs=attrs)

    yield pair("MatMul", (3, 4), (3, 4))
    yield pair("MatMul", (2, 3, 4), (3, 4, 5))
    yield pair("MatMul", (3,), (4,))
    yield pair("MatMul", (), (4,))
    yield pair("Gemm", (3, 4), (5, 4))
    yield pair("Gemm", (3, 4, 1), (4, 1))
    yield pair("Gemm", (3, 4), (4, 5), (4,))
    yield pair("Gemm", (3, 4), (4, 5), (2, 5))


def cases():
    yield from matmuls()
    yield from gemms()
    yield from refused()
