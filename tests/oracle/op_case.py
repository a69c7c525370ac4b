# SPDX-License-Identifier: Apache-2.0
"""One case of an operator test: an ONNX model, and the values and gradients PyTorch gives.

A family module in op_cases/ has a function `cases()` that yields what `case(...)` or `failure(...)`
returns. Expected values are computed in float64 by `forward`, a function from the model's inputs
(torch tensors in the order of `inputs`, float64 or int64 or bool; None for an absent one) to its
output or a tuple of outputs. Gradients come from autograd and, again, from central differences;
the two have to agree.
"""

import zlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

TOLERANCE = 1e-5

# gradcam_status, for cases that must fail
STATUS = {
    "MODEL": 4,
    "UNSUPPORTED": 5,
    "SHAPE": 7,
    "NUMERIC": 10,
    "MEMORY": 11,
    "LIMIT": 12,
}


def generator(name):
    """Random numbers that depend on the name of the case only."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(name, *shape, scale=1.0):
    return (scale * generator(name).standard_normal(shape)).astype(np.float32)


def uniform(name, low, high, *shape):
    return generator(name).uniform(low, high, shape).astype(np.float32)


def away_from(x, *kinks, margin=0.05):
    """Moves values that lie too near a kink for finite differences."""
    x = np.array(x)
    for kink in kinks:
        near = np.abs(x - kink) < margin
        x[near] = kink + np.where(x[near] >= kink, margin, -margin) * 2
    return x


def ints(*values, dtype=np.int64):
    """ints(1, 2) is a vector, ints([]) an empty one."""
    return np.array(values[0] if len(values) == 1 and isinstance(values[0], list) else values, dtype)


def scalar(value, dtype=np.float32):
    return np.array(value, dtype)


def to_bfloat16(array):
    """The nearest bfloat16, halves to the even neighbour, as a float32."""
    bits = np.asarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


class Case:
    def __init__(self, name, model, arrays, failure=None):
        self.name, self.model, self.arrays, self.failure = name, model, arrays, failure


def case(name, op, inputs, forward, *, attrs=None, opset=17, constants=(), grads=None, fd=True,
         outputs=1, check=True, domain="", nodes=None, bfloat16=()):
    """
    inputs     dict of name -> numpy array, or None for an absent optional input
    constants  names of inputs that are initializers rather than graph inputs
    grads      names of inputs to differentiate; None: every float input that is no constant, if
               the first output is float
    fd         False: no finite differences (at a kink, or a straight-through gradient)
    outputs    how many, or a list of names with "" for an absent one
    check      False: the operator is too new for this onnx's checker
    bfloat16   names of constants, made by to_bfloat16, that are stored so
    nodes      several nodes instead of the single one: list of (op, inputs, outputs, attrs) or
               (op, inputs, outputs, attrs, domain); graph outputs are then `outputs`
    """
    names = [f"y{i}" if outputs != 1 else "y" for i in range(outputs)] \
        if isinstance(outputs, int) else list(outputs)
    results = _run(forward, inputs)
    present = [n for n in names if n]
    assert len(results) == len(present), f"{name}: {len(results)} results for {present}"
    arrays = {f"input:{k}": v for k, v in inputs.items() if v is not None and k not in constants}
    arrays.update({f"output:{n}": _to_numpy(r) for n, r in zip(present, results)})
    wanted = grads
    if wanted is None:
        wanted = [k for k, v in inputs.items()
                  if v is not None and k not in constants and _is_float(v)]
    floats = [i for i, r in enumerate(results) if r.is_floating_point()]
    if wanted and floats:
        arrays.update(_gradients(name, forward, inputs, wanted, present, floats, fd))
    model = _model(name, op, inputs, constants, names, results, attrs or {}, opset, domain, nodes,
                   bfloat16)
    if check:
        onnx.checker.check_model(model)
    return Case(name, model, arrays)


def failure(name, op, inputs, status, *, attrs=None, opset=17, constants=(), outputs=1, domain=""):
    """A model that must be refused with the status, e.g. "SHAPE", in infer or forward."""
    names = ["y"] if outputs == 1 else [f"y{i}" for i in range(outputs)]
    arrays = {f"input:{k}": v for k, v in inputs.items() if v is not None and k not in constants}
    arrays["error:status"] = np.array(STATUS[status], np.int64)
    model = _model(name, op, inputs, constants, names, [None] * len(names), attrs or {}, opset,
                   domain, None)
    return Case(name, model, arrays)


def _is_float(array):
    return np.issubdtype(array.dtype, np.floating)


def _to_torch(array):
    if array is None:
        return None
    if _is_float(array):
        return torch.tensor(array.astype(np.float64))
    return torch.tensor(array if array.dtype == np.bool_ else array.astype(np.int64))


def _to_numpy(tensor):
    array = tensor.detach().numpy()
    return np.array(array.astype(np.float32) if _is_float(array) else array)


def _run(forward, inputs, **replaced):
    tensors = [replaced[k] if k in replaced else _to_torch(v) for k, v in inputs.items()]
    results = forward(*tensors)
    return list(results) if isinstance(results, (tuple, list)) else [results]


def _gradients(name, forward, inputs, wanted, present, floats, fd):
    leaves = {k: _to_torch(inputs[k]).requires_grad_() for k in wanted}
    results = _run(forward, inputs, **leaves)
    rng = generator(name + ":grad")
    seeds = {i: torch.tensor(rng.standard_normal(tuple(results[i].shape)).astype(np.float32)
                             .astype(np.float64)) for i in floats}
    arrays = {f"grad_output:{present[i]}": _to_numpy(s) for i, s in seeds.items()}
    score = sum((results[i] * s).sum() for i, s in seeds.items())
    found = torch.autograd.grad(score, list(leaves.values()), allow_unused=True)
    for k, gradient in zip(wanted, found):
        gradient = torch.zeros_like(leaves[k]) if gradient is None else gradient
        arrays[f"grad_input:{k}"] = _to_numpy(gradient)
        if fd:
            differences = _differences(forward, inputs, k, seeds)
            scale = max(1.0, float(gradient.abs().max()) if gradient.numel() else 0.0)
            off = float((gradient - differences).abs().max()) if gradient.numel() else 0.0
            assert off <= TOLERANCE * scale, f"{name}: d/d{k}: autograd and differences: {off}"
            arrays[f"fd_input:{k}"] = _to_numpy(differences)
    return arrays


def _differences(forward, inputs, name, seeds, step=1e-6):
    x = _to_torch(inputs[name])
    result = torch.zeros_like(x)

    def score():
        with torch.no_grad():
            results = _run(forward, inputs, **{name: x.clone()})
            return float(sum((results[i] * s).sum() for i, s in seeds.items()))

    flat, out = x.view(-1), result.view(-1)
    for i in range(flat.numel()):
        middle = float(flat[i])
        width = step * max(1.0, abs(middle))
        flat[i] = middle + width
        above = score()
        flat[i] = middle - width
        below = score()
        flat[i] = middle
        out[i] = (above - below) / (2 * width)
    return result


def _value_info(name, array):
    if array is None:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(array.dtype)
        if hasattr(helper, "np_dtype_to_tensor_dtype")
        else onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype], array.shape)


def _initializer(name, array, is_bfloat16):
    if not is_bfloat16:
        return numpy_helper.from_array(np.asarray(array), name)
    bits = (np.asarray(array, np.float32).view(np.uint32) >> 16).astype("<u2")
    return helper.make_tensor(name, TensorProto.BFLOAT16, bits.shape, bits.tobytes(), raw=True)


def _model(name, op, inputs, constants, names, results, attrs, opset, domain, nodes, bfloat16=()):
    slots = [k if v is not None else "" for k, v in inputs.items()]
    while slots and slots[-1] == "":
        slots.pop()
    made = [helper.make_node(op, slots, names, name=name, domain=domain, **attrs)] if nodes is None \
        else [helper.make_node(o, i, r, name=f"{name}_{n}", domain="".join(d) or None, **a)
              for n, (o, i, r, a, *d) in enumerate(nodes)]
    feeds = [_value_info(k, v) for k, v in inputs.items() if v is not None and k not in constants]
    held = [_initializer(k, inputs[k], k in bfloat16) for k in constants
            if inputs[k] is not None]
    outs = [_value_info(n, _to_numpy(r) if r is not None else None)
            for n, r in zip([n for n in names if n], results)]
    graph = helper.make_graph(made, name, feeds, outs, held)
    imports = [helper.make_opsetid("", opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=imports, producer_name="make_op_fixtures")
    model.ir_version = 8 if opset > 8 else 3
    if model.ir_version < 4:  # initializers had to be listed as inputs
        graph = model.graph
        graph.input.extend(_value_info(t.name, numpy_helper.to_array(t)) for t in held)
    return model
