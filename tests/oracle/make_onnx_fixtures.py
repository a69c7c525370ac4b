#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the small models that tests/unit/test_onnx.c reads.

Usage: make_onnx_fixtures.py [FOLDER]    (default: ../fixtures/onnx beside this script)

Needs onnx and numpy. The output depends on nothing else, so a second run changes no byte.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h

# ---- Building blocks ---------------------------------------------------------------------------


def info(name, shape=(1, 2), dtype=T.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs=None, outputs=None, initializers=(), opset=13, ir=8, functions=(),
          opsets=None, **fields):
    graph = h.make_graph(nodes, "g", [info("x")] if inputs is None else inputs,
                         [info("y")] if outputs is None else outputs, list(initializers))
    imports = [h.make_opsetid(*o) for o in (opsets or [("", opset)])]
    m = h.make_model(graph, opset_imports=imports, functions=list(functions), **fields)
    m.ir_version = ir
    return m


def relu(source="x", target="y", name=""):
    return h.make_node("Relu", [source], [target], name=name)


def raw(name, array):
    array = np.asarray(array)
    t = T(name=name, data_type=onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype])
    t.dims.extend(array.shape)
    t.raw_data = array.tobytes()
    return t


def external(name, dtype, dims, **places):
    t = T(name=name, data_type=dtype, data_location=T.EXTERNAL)
    t.dims.extend(dims)
    for key, value in places.items():
        entry = t.external_data.add()
        entry.key, entry.value = key, str(value)
    return t


# ---- Every type in every encoding --------------------------------------------------------------

FLOATS = np.array([0.0, -0.0, 1.5, -2.25, 65504.0, 6e-8, -6.1e-5, 1e-3, np.inf, -np.inf, np.nan,
                   3.14159265])


def bfloat16_bits(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def encoding_cases():
    """name, ONNX type, typed field, its values, raw bytes, expected float32 or int64."""
    f16, bf = FLOATS.astype(np.float16), bfloat16_bits(FLOATS)
    f32 = np.append(FLOATS.astype(np.float32), np.float32([1e-45, 3.4028235e38]))
    f64 = np.append(FLOATS, [1e-320, 1e300, 1e-40])
    with np.errstate(over="ignore"):
        yield "float64", T.DOUBLE, "double_data", f64, f64.tobytes(), f64.astype(np.float32)
    yield "float32", T.FLOAT, "float_data", f32, f32.tobytes(), f32
    yield ("float16", T.FLOAT16, "int32_data", f16.view(np.uint16), f16.tobytes(),
           f16.astype(np.float32))
    yield ("bfloat16", T.BFLOAT16, "int32_data", bf, bf.tobytes(),
           (bf.astype(np.uint32) << 16).view(np.float32))
    for name, field in (("uint8", "int32_data"), ("int8", "int32_data"), ("uint16", "int32_data"),
                        ("int16", "int32_data"), ("int32", "int32_data"), ("int64", "int64_data"),
                        ("uint32", "uint64_data"), ("uint64", "uint64_data")):
        limits = np.iinfo(name)
        values = np.array([0, 1, 100, limits.min, limits.max // 2, limits.max], dtype=name)
        with np.errstate(over="ignore"):
            expected = values.astype(np.int64)
        yield name, getattr(T, name.upper()), field, values, values.tobytes(), expected
    flags = np.array([True, False, True])
    yield "bool", T.BOOL, "int32_data", flags, flags.tobytes(), flags.astype(np.int64)


def encodings(folder):
    tensors, blob = [], b"\xee" * 5
    for name, dtype, field, values, data, expected in encoding_cases():
        r = T(name=name + ".raw", data_type=dtype, dims=[len(values)], raw_data=data)
        t = T(name=name + ".typed", data_type=dtype, dims=[1, len(values)])
        getattr(t, field).extend(values.tolist())
        e = external(name + ".external", dtype, [len(values), 1], location="encodings.bin",
                     offset=len(blob), length=len(data))
        tensors += [r, t, e, raw(name + ".expected", expected)]
        blob += data + b"\xee" * 3
    tensors.append(external("tail", T.UINT8, [3], location="encodings.bin", offset=len(blob) - 3))
    tensors.append(T(name="scalar", data_type=T.FLOAT, float_data=[7.0]))
    tensors.append(T(name="empty", data_type=T.FLOAT, dims=[2, 0, 3]))
    tensors.append(T(name="empty_raw", data_type=T.INT64, dims=[1], raw_data=b"", int64_data=[9]))
    (folder / "encodings.bin").write_bytes(blob)
    return model([relu()], initializers=tensors)


def bad_tensors():
    """Each breaks one rule; file name, tensor."""
    f = T.FLOAT
    yield "bad_raw_short", T(name="w", data_type=f, dims=[3, 4], raw_data=b"\0" * 40)
    yield "bad_raw_long", T(name="w", data_type=f, dims=[2], raw_data=b"\0" * 12)
    yield "bad_typed_count", T(name="w", data_type=f, dims=[4], float_data=[1, 2, 3])
    yield "bad_typed_field", T(name="w", data_type=f, dims=[3], int64_data=[1, 2, 3])
    yield "bad_no_data", T(name="w", data_type=f, dims=[1 << 40])
    yield "bad_negative", T(name="w", data_type=f, dims=[-1], raw_data=b"\0" * 4)
    yield "bad_overflow", T(name="w", data_type=f, dims=[1 << 62, 4], raw_data=b"\0" * 4)
    yield "bad_hidden_overflow", T(name="w", data_type=f, dims=[0, 1 << 62, 1 << 62])
    yield "bad_no_type", T(name="w", dims=[1], raw_data=b"\0" * 4)
    yield "bad_no_name", T(data_type=f, dims=[1], raw_data=b"\0" * 4)
    for name, places in {
        "absolute": dict(location="/etc/passwd"),
        "climbing": dict(location="a/../../secret.bin"),
        "missing": dict(location="nowhere.bin"),
        "nameless": dict(offset=0),
        "folder": dict(location="."),
        "short": dict(location="encodings.bin", offset=1 << 20),
        "wrapping": dict(location="encodings.bin", offset=(1 << 63) - 1),
        "huge": dict(location="encodings.bin", offset=1 << 64),
        "negative": dict(location="encodings.bin", offset=-4),
        "length": dict(location="encodings.bin", offset=0, length=3),
    }.items():
        yield "bad_external_" + name, external("w", f, [1], **places)
    yield "bad_external_count", external("w", f, [1 << 40], location="encodings.bin")


def refused_tensors():
    """Constants that cannot be represented: an error only if used."""
    yield "string", T(name="w", data_type=T.STRING, dims=[1], string_data=[b"cat"])
    yield "complex", T(name="w", data_type=T.COMPLEX64, dims=[1], raw_data=b"\0" * 8)
    yield "float8", T(name="w", data_type=17, dims=[1], raw_data=b"\0")
    yield "rank9", T(name="w", data_type=T.FLOAT, dims=[1] * 9, raw_data=b"\0" * 4)
    yield "segment", T(name="w", data_type=T.FLOAT, dims=[1], raw_data=b"\0" * 4,
                       segment=T.Segment(begin=0, end=1))


# ---- Structure ---------------------------------------------------------------------------------


def structures():
    add = h.make_node("Add", ["x", "w"], ["y"], name="add")
    w = raw("w", np.float32([1, 2]))
    yield "inputs", model(
        [h.make_node("Sum", ["x", "w", "n", "u"], ["y"])],
        inputs=[info("x", ("batch", 3, -1, 224)), info("w", (2,)), info("n", None),
                info("u", (), T.FLOAT16)],
        initializers=[w], ir=3, producer_name="maker", producer_version="1.2")
    yield "absent", model([h.make_node("Clip", ["x", "", "w"], ["a", ""]),
                           h.make_node("Clip", ["a", "w", ""], ["y"])], initializers=[w])
    yield "shuffled", model([relu("c", "y", "third"), relu("a", "c", "second"),
                             relu("x", "a", "first")])
    yield "cycle", model([h.make_node("Add", ["x", "b"], ["a"], name="one"), relu("a", "b"),
                          relu("b", "y")])
    yield "dangling", model([h.make_node("Add", ["x", "ghost"], ["y"], name="add")])
    yield "two_makers", model([relu(), relu()])
    yield "two_initializers", model([add], initializers=[w, w])
    yield "two_inputs", model([relu()], inputs=[info("x"), info("x")])
    yield "made_initializer", model([relu("x", "w"), add], initializers=[w])
    yield "made_input", model([relu("x", "x"), relu()])
    yield "no_outputs", model([relu()], outputs=[])
    yield "ghost_output", model([relu()], outputs=[info("ghost")])
    yield "direct_output", model([], outputs=[info("x")])
    yield "no_opset", model([relu()], opsets=[("com.microsoft", 1)])
    yield "bad_opset", model([relu()], opset=-3)
    old = model([relu()], ir=2)
    del old.opset_import[:]
    yield "ir2", old
    yield "future", model([relu()], opset=99, ir=99)
    yield "no_operator", model([h.make_node("", ["x"], ["y"])])
    foreign = model([h.make_node("Relu", ["x"], ["a"], domain="ai.onnx"),
                     h.make_node("Gelu", ["a"], ["y"], domain="com.microsoft")],
                    opsets=[("ai.onnx", 15), ("com.microsoft", 1)])
    h.set_model_props(foreign, {"labels": "cat,dog", "empty": ""})
    yield "foreign", foreign
    twice = model([h.make_node("Elu", ["x"], ["y"], alpha=1.0)])
    twice.graph.node[0].attribute.append(h.make_attribute("alpha", 2.0))
    yield "attribute_twice", twice
    reference = model([h.make_node("Elu", ["x"], ["y"])])
    reference.graph.node[0].attribute.add(name="alpha", ref_attr_name="a", type=1)
    yield "reference_outside", reference
    sparse = model([add])
    s = sparse.graph.sparse_initializer.add()
    s.values.CopyFrom(w)
    s.indices.CopyFrom(raw("i", np.int64([0, 1])))
    s.dims.extend([4])
    yield "refused_sparse", sparse
    yield "rank9_input", model([relu()], inputs=[info("x", [1] * 9)])


def constants():
    def const(target, **attrs):
        return h.make_node("Constant", [], [target], **attrs)

    return model([
        h.make_node("Sum", ["x", "late"], ["y"]),
        const("late", value=raw("", np.float32([[3, 4]]))),
        const("f", value_float=0.5), const("fs", value_floats=[1.0, 2.0]),
        const("i", value_int=-7), const("is", value_ints=[1, 2, 3]),
        const("s", value_string="unused"), const("none"),
    ])


def typeless_attributes():
    """Attributes of IR version 1 do not say their type."""
    m = model([h.make_node("Foo", ["x"], ["y"], f=1.5, i=-3, s="text", fs=[1.0, 2.0], ii=[4, 5],
                           ss=["a", "b"], t=raw("", np.int64([8])),
                           g=h.make_graph([], "inner", [], []))], ir=1)
    typed = m.SerializeToString()
    for a in m.graph.node[0].attribute:
        a.ClearField("type")
    return m, onnx.ModelProto.FromString(typed)


def functions():
    domain = "local"
    ops = [h.make_opsetid("", 11), h.make_opsetid(domain, 1)]
    inner = h.make_function(
        domain, "Inner", ["a", "b"], ["c", "a"],
        [h.make_node("Constant", [], ["two"], value_float=2.0),
         h.make_node("Mul", ["a", "two"], ["t"], name="mul"),
         h.make_node("Clip", ["t", "", "b"], ["c"], name="clip")], ops)
    outer = h.make_function(
        domain, "Outer", ["p"], ["q"],
        [h.make_node("Elu", ["p"], ["e"], name="elu"),
         h.make_node("Squeeze", ["e"], ["e2"], name="squeeze", axes=[0]),
         h.make_node("Inner", ["e2"], ["q", "same"], name="call", domain=domain)],
        ops, ["alpha"])
    ref = outer.node[0].attribute.add()
    ref.name, ref.ref_attr_name, ref.type = "alpha", "alpha", onnx.AttributeProto.FLOAT
    nodes = [h.make_node("Outer", ["x"], ["m"], name="o1", domain=domain, alpha=0.25),
             h.make_node("Outer", ["m"], ["n"], name="o2", domain=domain),
             h.make_node("Inner", ["n", "m"], ["y", "z"], domain=domain)]
    yield "functions", model(nodes, outputs=[info("y"), info("z")], functions=[inner, outer],
                             opsets=[("", 13), (domain, 1)])
    loop = h.make_function(domain, "Inner", ["a"], ["c"],
                           [h.make_node("Inner", ["a"], ["t"], domain=domain),
                            h.make_node("Inner", ["t"], ["c"], domain=domain)], ops)
    yield "recursive", model([h.make_node("Inner", ["x"], ["y"], domain=domain)],
                             functions=[loop], opsets=[("", 13), (domain, 1)])
    yield "many_operands", model([h.make_node("Inner", ["x", "x", "x"], ["y"], domain=domain)],
                                 functions=[inner], opsets=[("", 13), (domain, 1)])


# ---- Old forms ---------------------------------------------------------------------------------


def old(opset, *nodes, initializers=()):
    """One model of many nodes that each read x and are outputs; the first output is the name."""
    made = []
    for op, inputs, attrs in nodes:
        count = attrs.pop("outputs", 1)
        name = attrs.pop("label", op)
        outputs = [name] + [f"{name}_{i}" for i in range(1, count)]
        made.append(h.make_node(op, inputs, outputs, name=name, **attrs))
    return model(made, outputs=[info(n.name) for n in made], opset=opset, ir=3,
                 inputs=[info("x"), info("b")], initializers=initializers)


def upgrades():
    arithmetic = [(op, ["x", "b"], dict(broadcast=1, axis=1, label=op + "_axis"))
                  for op in ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal",
                             "Greater", "Less")]
    stats = [raw(n, np.float32([1, 2])) for n in ("s", "o", "m", "v")]
    wide = [raw(n, np.float32([[1, 2]])) for n in ("s2", "o2", "m2", "v2")]
    bn = ["x", "s", "o", "m", "v"]
    yield "upgrade1", old(
        1, *arithmetic,
        ("Add", ["x", "b"], dict(broadcast=1, label="Add_suffix")),
        ("Reshape", ["x"], dict(shape=[2, -1], consumed_inputs=[0])),
        ("Concat", ["x", "b"], {}),
        ("Cast", ["x"], dict(to="INT64")),
        ("Cast", ["x"], dict(to="DOUBLE", label="Cast_double")),
        ("Pad", ["x"], dict(paddings=[0, 1, 0, 2], value=1.5)),
        ("Split", ["x"], dict(split=[1, 1], axis=1, outputs=2)),
        ("Split", ["x", "b"], dict(axis=1, outputs=2, label="Split_input")),
        ("Upsample", ["x"], dict(height_scale=2.0, width_scale=3.0, mode="bilinear")),
        ("Gemm", ["x", "x", "b"], dict(broadcast=1, transB=1)),
        ("PRelu", ["x", "b"], {}),
        ("Selu", ["x"], {}),
        ("LpPool", ["x"], dict(p=3.0, kernel_shape=[2, 2])),
        ("GlobalLpPool", ["x"], dict(p=1.0)),
        ("Dropout", ["x"], dict(is_test=0, ratio=0.3, outputs=2)),
        ("BatchNormalization", bn, dict(is_test=1, spatial=1, consumed_inputs=[0, 0, 0, 1, 1],
                                        epsilon=0.5, momentum=0.9, outputs=5)),
        ("Clip", ["x"], dict(min=-1.0, max=6.0, consumed_inputs=[0])),
        ("Clip", ["x"], dict(max=6.0, label="Clip_max")),
        initializers=stats)
    yield "upgrade8", old(
        8,
        ("Upsample", ["x"], dict(scales=[1.0, 1.0, 2.0, 2.0], mode="linear")),
        ("BatchNormalization", bn, dict(spatial=0)),
        ("Slice", ["x"], dict(starts=[0, 1], ends=[1, 2], axes=[0, 1])),
        ("Slice", ["x"], dict(starts=[0], ends=[1], label="Slice_no_axes")),
        ("TopK", ["x"], dict(k=3, outputs=2)),
        ("Pad", ["x"], dict(pads=[0, 0, 1, 1], mode="reflect")),
        ("Sum", ["x", "b"], {}),
        initializers=stats)
    yield "upgrade9", old(
        9,
        ("Upsample", ["x", "sc"], dict(mode="nearest")),
        ("Scatter", ["x", "b", "b"], dict(axis=0)),
        ("Softmax", ["x"], {}),
        ("LogSoftmax", ["x"], dict(axis=2)),
        ("Hardmax", ["x"], {}),
        initializers=[raw("sc", np.float32([1, 1, 2, 2]))])
    reductions = [("Reduce" + r, ["x"], dict(axes=[-1, 1], keepdims=0))
                  for r in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum",
                            "SumSquare")]
    yield "upgrade10", old(
        10, *reductions,
        ("ReduceMean", ["x"], dict(label="ReduceMean_all")),
        ("ReduceMean", ["x"], dict(axes=[], label="ReduceMean_empty")),
        ("Resize", ["x", "up"], {}),
        ("Resize", ["x", "down"], dict(label="Resize_down")),
        ("Resize", ["x", "down"], dict(mode="linear", label="Resize_linear")),
        ("Squeeze", ["x"], dict(axes=[0])),
        ("Squeeze", ["x"], dict(label="Squeeze_all")),
        ("Unsqueeze", ["x"], dict(axes=[0, 3])),
        ("Split", ["x"], dict(axis=1, outputs=3)),
        ("RoiAlign", ["x", "b", "b"], {}),
        initializers=[raw("up", np.float32([1, 1, 2, 1])), raw("down", np.float32([1, 1, .6, 1]))])
    nothing = raw("nothing", np.zeros(0, np.float32))
    yield "upgrade13", old(
        13,
        ("Resize", ["x", "nothing", "nothing", "sizes"], dict(mode="linear")),
        ("Resize", ["x", "", "", "sizes"], dict(label="Resize_names")),
        ("ReduceSum", ["x", "sizes"], {}),
        ("ReduceMean", ["x"], dict(axes=[2])),
        ("Softmax", ["x"], {}),
        ("Clip", ["x", "", "b"], {}),
        ("Dropout", ["x", "b", "t"], dict(outputs=2)),
        ("BatchNormalization", bn, dict(training_mode=1, outputs=3)),
        ("GridSample", ["x", "b"], {}),
        ("GroupNormalization", ["x", "b", "b"], dict(num_groups=2)),
        initializers=stats + [nothing, raw("sizes", np.int64([1, 2])), raw("t", np.bool_(True))])
    yield "upgrade21", old(
        21,
        ("ReduceMean", ["x", "axes"], {}),
        ("Split", ["x"], dict(num_outputs=2, outputs=2)),
        ("GroupNormalization", ["x", "b", "b"], dict(num_groups=2)),
        ("GridSample", ["x", "b"], dict(mode="cubic")),
        ("RoiAlign", ["x", "b", "b"], {}),
        ("Add", ["x", "b"], {}),
        initializers=[raw("axes", np.int64([-1]))])
    yield "upgrade_names", model(
        [h.make_node("Squeeze", ["x"], ["y"], axes=[0]), relu("x", "y.axes")], opset=11,
        outputs=[info("y"), info("y.axes")])
    yield "spatial0", old(7, ("BatchNormalization", ["x", "s2", "o2", "m2", "v2"],
                              dict(spatial=0)), initializers=wide)
    yield "tile1", old(1, ("Tile", ["x", "b", "b"], {}))
    yield "mask_used", model([h.make_node("Dropout", ["x"], ["a", "mask"], name="Dropout"),
                              h.make_node("Where", ["mask", "a", "x"], ["y"])])


# ---- Output ------------------------------------------------------------------------------------


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "onnx"
    if len(sys.argv) > 1:
        folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    models = {"encodings": encodings(folder), "constants": constants()}
    models["typeless"], models["typed"] = typeless_attributes()
    use = h.make_node("Add", ["x", "w"], ["y"], name="add")
    for name, tensor in bad_tensors():
        models[name] = model([use], initializers=[tensor])
    for name, tensor in refused_tensors():
        models["refused_" + name] = model([use], initializers=[tensor])
        models["unused_" + name] = model([relu()], initializers=[tensor])
    for group in (structures(), functions(), upgrades()):
        models.update(group)
    for name, m in models.items():
        (folder / (name + ".onnx")).write_bytes(m.SerializeToString(deterministic=True))
    tensor = raw("t", np.float32([[1, 2, 3]]))
    (folder / "tensor.pb").write_bytes(tensor.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
