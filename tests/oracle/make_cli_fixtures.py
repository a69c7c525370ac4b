#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/cli: small models and pictures for the tests of the command-line tool.

The main model tells red from green by weights that are set, not trained, so that the right map is
known: on picture.png the map of "red" peaks on the red square at the left, the one of "green" on the
green square at the right. The class "never" has only negative weights (its map is non-positive), the
class "nothing" only zeros (its map is flat).
"""
import json
import pathlib
import struct
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "cli"
LABELS = ["red", "green, lime", "never", "nothing"]


def tensor(name, values):
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def weights(channels):
    """Two detectors (red minus green, green minus red) over 3x3 pixels, then a blur of each."""
    first = np.zeros((4, channels, 3, 3))
    first[0, 0], first[0, 1] = 1 / 9, -1 / 9
    first[1, 0], first[1, 1] = -1 / 9, 1 / 9
    first[2, :] = 0.01
    first[3, 0, 1, 1] = 0.05
    second = np.zeros((4, 4, 3, 3))
    for channel in range(4):
        second[channel, channel] = 1 / 9
    head = [[4, -1, 0, 0], [-1, 4, 0, 0], [-1, -1, -0.5, -0.5], [0, 0, 0, 0]]
    return first, second, head


def nodes():
    return [
        helper.make_node("Conv", ["image", "w1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("MaxPool", ["r1"], ["p1"], name="pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], name="conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["g"], name="gap"),
        helper.make_node("Flatten", ["g"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["logits"], name="fc", transB=1),
    ]


def write_model(
    name,
    channels=3,
    extra_nodes=(),
    output="logits",
    extra_outputs=(),
    change=None,
    labels=True,
):
    """Writes the model; `change` may alter its weights, `extra_nodes` append to its graph."""
    first, second, head = weights(channels)
    values = {"w1": first, "w2": second, "w3": np.array(head, float), "b3": np.zeros(4)}
    if change:
        change(values)
    graph = helper.make_graph(
        [*nodes(), *extra_nodes],
        "squares",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, 32, 48])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 4]),
            *extra_outputs,
        ],
        [tensor(key, value) for key, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    if labels:
        helper.set_model_props(model, {"id2label": json.dumps(dict(enumerate(LABELS)))})
    (FOLDER / name).write_bytes(model.SerializeToString())


def write_models():
    write_model("model.onnx")
    write_model("nolabels.onnx", labels=False)
    write_model("channels5.onnx", channels=5)

    def spoil(values):
        values["w2"][1, 1, 1, 1] = np.nan

    write_model("nan.onnx", change=spoil)
    # Two unknown operators between the classes and the output.
    unknown = [
        helper.make_node("Swirl", ["logits"], ["s1"], name="swirl", domain="com.example"),
        helper.make_node("Twist", ["s1"], ["twisted"], name="twist", domain="com.example"),
    ]
    write_model("unsupported.onnx", extra_nodes=unknown, output="twisted")
    # The root of a score that is exactly 0 (the class "nothing") has an infinite slope: finite
    # logits, and a map of NaN.
    root = [
        helper.make_node("Abs", ["logits"], ["size"], name="size"),
        helper.make_node("Sqrt", ["size"], ["root"], name="root"),
    ]
    write_model("root.onnx", extra_nodes=root, output="root")
    # The logarithm of scores, which is NaN for those below 0.
    log = [helper.make_node("Log", ["logits"], ["log"], name="log")]
    write_model("log.onnx", extra_nodes=log, output="log")
    # A branch to a second output: it has a height and a width, but the classes do not depend on it.
    side = [helper.make_node("Conv", ["p1", "w2"], ["side"], name="side_conv", pads=[1, 1, 1, 1])]
    write_model(
        "side.onnx",
        extra_nodes=side,
        extra_outputs=[helper.make_tensor_value_info("side", TensorProto.FLOAT, [1, 4, 16, 24])],
    )


def write_pictures():
    picture = np.full((40, 60, 3), (96, 96, 112), np.uint8)
    picture[12:28, 6:22] = (224, 32, 32)
    picture[14:26, 40:52] = (32, 208, 48)
    Image.fromarray(picture).save(FOLDER / "picture.png", optimize=True)
    green = np.full((24, 24, 3), (96, 96, 112), np.uint8)
    green[4:20, 4:20] = (32, 208, 48)
    Image.fromarray(green).save(FOLDER / "green.jpg", quality=90)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_huge_picture():
    """A PNG that claims 100000 x 100000 pixels."""
    header = struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    (FOLDER / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", data)
        + png_chunk(b"IEND", b"")
    )


def write_tensors():
    """picture.png as a ready tensor, for models of 3 and of 5 channels."""
    picture = Image.open(FOLDER / "picture.png").resize((48, 32), Image.BILINEAR)
    planes = np.asarray(picture, np.float32).transpose(2, 0, 1) / 255
    np.save(FOLDER / "tensor3.npy", planes[None])
    coarse = np.zeros((1, 5, 32, 48), np.float32)
    coarse[0, :3] = planes
    np.save(FOLDER / "tensor5.npy", coarse)
    np.save(FOLDER / "wrongshape.npy", planes[None, :, :8, :8])


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_models()
    write_pictures()
    write_huge_picture()
    write_tensors()
    (FOLDER / "labels.txt").write_text("rot\ngrün\nnie\nnichts\n", encoding="utf-8")
