#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of corpus/: pictures of every format and kind of pixel, arrays, and models that are
valid protobuf and nonsense otherwise.

    make_seeds.py     needs Debian's python3-pil, python3-numpy and python3-onnx
"""
import os

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))


def save(mode, name, **options):
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (6, 10, 4), dtype=np.uint8), "RGBA")
    picture.convert("RGB").convert(mode).save(os.path.join(HERE, "corpus", "picture", name), **options)


def pictures():
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        save(mode, f"{mode}.png")
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        save(mode, f"{mode}.bmp")
    for mode in ("L", "RGB", "CMYK"):
        save(mode, f"{mode}.jpg", quality=80)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("RGB", "turned.jpg", exif=exif)
    save("RGB", "turned.png", exif=exif)
    save("RGB", "progressive.jpg", progressive=True)
    save("RGB", "lossy.webp", quality=50)
    save("RGBA", "lossless.webp", lossless=True, exif=exif)
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"):
        save(mode.replace("I;16", "I"), f"{mode.replace(';', '')}.tif") if mode != "I;16" else Image.fromarray(
            np.arange(60, dtype=np.uint16).reshape(6, 10)).save(os.path.join(HERE, "corpus", "picture", "I16.tif"))
    for compression in ("packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        save("RGB", f"{compression}.tif", compression=compression)


def arrays():
    for kind in (np.float32, np.float64, np.uint8):
        for shape in ((), (3,), (1, 3, 2, 2)):
            np.save(os.path.join(HERE, "corpus", "npy", f"{np.dtype(kind).name}-{len(shape)}.npy"),
                    np.zeros(shape, kind))


def model(name, nodes, weights=(), shape=(1, 3, 8, 8), inputs=("x",), outputs=("y",), changed=None):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each in inputs],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in outputs],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    if changed:
        changed(made)
    with open(os.path.join(HERE, "corpus", "explain", name + ".onnx"), "wb") as file:
        file.write(made.SerializeToString())


def conv(**attributes):
    return helper.make_node("Conv", ["x", "w"], ["c"], **attributes)


def head(source="c"):
    return [helper.make_node("GlobalAveragePool", [source], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]


def set_dims(*dims):
    def change(made):
        made.graph.initializer[0].dims[:] = dims
    return change


def point_outside(made):
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../../../etc/passwd"


def nested(name, nodes, outputs, inputs=()):
    return helper.make_graph(nodes, name, [helper.make_tensor_value_info(each, kind, shape) for each, kind, shape in inputs],
                             [helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in outputs])


def loop(turns, body_nodes, outputs, **more):
    """A Loop of the name of its count, whose body carries 'v' and gives `outputs` after it."""
    body = helper.make_graph(
        body_nodes, "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ()), helper.make_tensor_value_info("go", TensorProto.BOOL, ()),
         helper.make_tensor_value_info("v", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("go", TensorProto.BOOL, ())] +
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in outputs])
    return helper.make_node("Loop", [turns, "", "x"], ["c"] + [f"scan{i}" for i in range(len(outputs) - 1)], body=body, **more)


def control_flow():
    true = [("t", np.array(True)), ("three", np.array(3))]
    relu = helper.make_node("Relu", ["x"], ["r"])
    choice = helper.make_node("If", ["t"], ["c"], then_branch=nested("a", [relu], ["r"]),
                              else_branch=nested("b", [helper.make_node("Neg", ["x"], ["n"])], ["n"]))
    model("if", [choice, *head()], true)
    model("loop", [loop("three", [helper.make_node("Relu", ["v"], ["w"])], ["w"]), *head()], true)
    model("loop_scans", [loop("three", [helper.make_node("Relu", ["v"], ["w"])], ["w", "w"]), *head()], true)
    forever = [("many", np.array(2**62))]
    model("loop_forever", [loop("many", [helper.make_node("Relu", ["v"], ["w"])], ["w"]), *head()], forever)
    # Loops in loops, whose innermost body is empty: the turns multiply, the nodes do not.
    inner = helper.make_node("Identity", ["v"], ["w"])
    for depth in range(4):
        body = helper.make_graph(
            [inner], "body",
            [helper.make_tensor_value_info(f"i{depth}", TensorProto.INT64, ()),
             helper.make_tensor_value_info(f"go{depth}", TensorProto.BOOL, ()),
             helper.make_tensor_value_info("v" if depth == 0 else f"v{depth}", TensorProto.FLOAT, None)],
            [helper.make_tensor_value_info(f"go{depth}", TensorProto.BOOL, ()),
             helper.make_tensor_value_info("w" if depth == 0 else f"w{depth}", TensorProto.FLOAT, None)])
        inner = helper.make_node("Loop", ["most", "", f"v{depth + 1}" if depth < 3 else "x"],
                                 [f"w{depth + 1}" if depth < 3 else "c"], body=body)
    model("loops_in_loops", [inner, *head()], [("most", np.array(1000))])
    model("sequence", [helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
                       helper.make_node("SequenceInsert", ["s", "x"], ["s2"]),
                       helper.make_node("ConcatFromSequence", ["s2"], ["c"], axis=1), *head()])
    model("sequence_at", [helper.make_node("SequenceEmpty", [], ["s"]), helper.make_node("SequenceInsert", ["s", "x"], ["s2"]),
                          helper.make_node("SequenceAt", ["s2", "zero"], ["c"]), *head()], [("zero", np.array(0))])


def constants():
    """Three constants of 64 MB from a few bytes, each dropped before the next is made."""
    nodes, means = [conv()], []
    for i in range(3):
        nodes += [helper.make_node("ConstantOfShape", ["shape"], [f"k{i}"], value=numpy_helper.from_array(np.ones(1, np.float32))),
                  helper.make_node("ReduceMean", [f"k{i}"], [f"m{i}"], axes=[0, 1, 2, 3], keepdims=1)]
        means.append(f"m{i}")
    model("constants_of_64_megabytes", [*nodes, helper.make_node("Sum", ["c", *means], ["d"]), *head("d")],
          [("w", np.ones((4, 3, 3, 3), np.float32)), ("shape", np.array([1, 4, 2048, 2048]))])


def families():
    kernel = ("w", np.ones((4, 3, 3, 3), np.float32))
    scale, zero = ("s", np.float32(0.1)), ("z", np.uint8(3))
    model("quantised", [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
                        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
                        helper.make_node("Conv", ["d", "w"], ["c"]), *head()], [kernel, scale, zero])
    model("normalised", [conv(), helper.make_node("BatchNormalization", ["c", "g", "g", "g", "g"], ["b"]),
                         helper.make_node("Clip", ["b", "", "six"], ["k"]), helper.make_node("Softmax", ["y0"], ["y"], axis=1),
                         helper.make_node("GlobalAveragePool", ["k"], ["p"]), helper.make_node("Flatten", ["p"], ["y0"])],
          [kernel, ("g", np.ones(4, np.float32)), ("six", np.float32(6))])
    model("attention", [helper.make_node("Reshape", ["x", "shape"], ["t"]), helper.make_node("Transpose", ["t"], ["u"], perm=[0, 2, 1]),
                        helper.make_node("LayerNormalization", ["u", "g3", "g3"], ["n"]), helper.make_node("MatMul", ["n", "t"], ["m"]),
                        helper.make_node("Softmax", ["m"], ["a"], axis=-1), helper.make_node("MatMul", ["a", "n"], ["o"]),
                        helper.make_node("ReduceMean", ["o"], ["y"], axes=[1], keepdims=0)],
          [("shape", np.array([1, 3, 64])), ("g3", np.ones(3, np.float32))])
    model("resized", [helper.make_node("Resize", ["x", "", "scales"], ["r"], mode="linear"),
                      helper.make_node("Pad", ["r", "pads"], ["d"], mode="reflect"),
                      helper.make_node("MaxPool", ["d"], ["c"], kernel_shape=[2, 2], ceil_mode=1), *head()],
          [("scales", np.array([1, 1, 1.5, 0.5], np.float32)), ("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1]))])
    model("shapes", [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Gather", ["s", "two"], ["h"]),
                     helper.make_node("Unsqueeze", ["h", "zero"], ["h1"]), helper.make_node("Concat", ["head", "h1", "rest"], ["to"], axis=0),
                     helper.make_node("Reshape", ["x", "to"], ["c"]), *head()],
          [("two", np.array(2)), ("zero", np.array([0])), ("head", np.array([1, 3])), ("rest", np.array([-1]))])


def models():
    kernel = [("w", np.ones((4, 3, 3, 3), np.float32))]
    model("sound", [conv(), *head()], kernel)
    model("cycle", [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), *head("b")])
    model("dangling", [conv(), *head("nowhere")], kernel)
    model("same_name_twice", [conv(), conv(), *head()], kernel)
    model("same_weight_twice", [conv(), *head()], kernel + kernel)
    model("output_unknown", [conv()], kernel, outputs=("z",))
    model("no_nodes", [], outputs=("x",))
    for extent in (0, -1, -2**62, 2**31, 2**62):
        model(f"input_{extent}", [conv(), *head()], kernel, shape=(1, 3, extent, 8))
        model(f"weight_{extent}", [conv(), *head()], kernel, changed=set_dims(4, 3, extent, 3))
    model("weight_too_short", [conv(), *head()], kernel, changed=set_dims(400, 3, 3, 3))
    model("weight_product_overflows", [conv(), *head()], kernel, changed=set_dims(2**33, 2**31, 3, 3))
    model("outside_the_folder", [conv(), *head()], kernel, changed=point_outside)
    model("group_does_not_divide", [conv(group=2), *head()], kernel)
    model("group_0", [conv(group=0), *head()], kernel)
    for key in ("pads", "strides", "dilations", "kernel_shape"):
        for value in (-1, 0, 9, 2**31, 2**62):
            model(f"{key}_{value}", [conv(**{key: [value] * (4 if key == "pads" else 2)}), *head()], kernel)
    for op, attributes in (("MaxPool", {"kernel_shape": [2**31, 1]}), ("AveragePool", {"kernel_shape": [1, 1], "strides": [0, 1]}),
                           ("Transpose", {"perm": [0, 0, 1, 2]}), ("Flatten", {"axis": 2**40}), ("Softmax", {"axis": -9}),
                           ("Concat", {"axis": 7}), ("LRN", {"size": 0})):
        model(f"{op}_nonsense", [helper.make_node(op, ["x"], ["c"], **attributes), *head()])
    for values in ([2**62, 2**62, 4, 4], [0, 0, 0, 0], [-1, -1, 8, 8], [-2, 3, 8, 8], []):
        model(f"reshape_{len(values)}_{values[0] if values else 'empty'}",
              [helper.make_node("Reshape", ["x", "s"], ["c"]), *head()], [("s", np.array(values, np.int64))])
    model("expand_beyond_memory", [helper.make_node("Expand", ["x", "s"], ["c"]), *head()],
          [("s", np.array([2**20, 3, 2**10, 2**12], np.int64))])
    model("tile_beyond_memory", [helper.make_node("Tile", ["x", "s"], ["c"]), *head()],
          [("s", np.array([1, 2**40, 1, 1], np.int64))])
    model("constant_beyond_memory", [helper.make_node("ConstantOfShape", ["s"], ["c"]), *head()],
          [("s", np.array([1, 2**20, 2**12, 2**12], np.int64))])


pictures()
arrays()
models()
control_flow()
constants()
families()
