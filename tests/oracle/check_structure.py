#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Models of unusual structure through the command line against PyTorch: several inputs and outputs,
fixed batches, free extents, functions, external data, control flow, thousands of nodes.

  check_structure.py GRADCAM [NAME...]
"""
import os
import sys
import tempfile
import warnings

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from command import explain, grad_cam, judge

warnings.filterwarnings("ignore")
CLASSES = 5


class Trunk(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 8, 3, 2, 1), nn.Conv2d(8, 12, 3, 1, 1)
        self.last = nn.ReLU()

    def forward(self, x):
        return self.last(self.conv2(self.conv1(x).relu()))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.fc = Trunk(), nn.Linear(12, CLASSES)

    def forward(self, x):
        return self.fc(self.trunk(x).mean((2, 3)))


class WithNumbers(nn.Module):
    """Age, weight, ... beside the picture; they scale channels, too."""

    def __init__(self, picture_first):
        super().__init__()
        self.picture_first = picture_first
        self.trunk, self.gate, self.fc = Trunk(), nn.Linear(4, 12), nn.Linear(16, CLASSES)

    def forward(self, a, b):
        x, meta = (a, b) if self.picture_first else (b, a)
        y = (self.trunk(x) * self.gate(meta).sigmoid()[:, :, None, None]).mean((2, 3))
        return self.fc(torch.cat([y, meta], 1))


class WithWord(nn.Module):
    """The number of a word chooses a row of an embedding."""

    def __init__(self):
        super().__init__()
        self.trunk, self.words, self.fc = Trunk(), nn.Embedding(9, 12), nn.Linear(12, CLASSES)

    def forward(self, x, word):
        return self.fc(self.trunk(x).mean((2, 3)) * self.words(word)[:, 0])


class TwoPictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.other, self.fc = Trunk(), Trunk(), nn.Linear(24, CLASSES)

    def forward(self, left, right):
        return self.fc(torch.cat([self.trunk(right), self.other(left)], 1).mean((2, 3)))


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.fc, self.fc2 = Trunk(), nn.Linear(12, 3), nn.Linear(12, CLASSES)

    def forward(self, x):
        y = self.trunk(x).mean((2, 3))
        return self.fc(y), self.fc2(y)


class Branches(nn.Module):
    """Control flow that a scripted module keeps: on shapes, on constants, with a list, nested."""

    def __init__(self):
        super().__init__()
        self.trunk, self.fc = Trunk(), nn.Linear(12, CLASSES)

    def forward(self, x):
        y = self.trunk(x)
        if y.shape[2] > 4:
            y = y * 2.0
            if y.shape[3] > 100:
                y = y.abs() - 1.0
            else:
                y = y.sigmoid() * y
        else:
            y = y.exp()
        return self.fc(y.mean((2, 3)))


class Turns(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.mix, self.fc = Trunk(), nn.Conv2d(12, 12, 1), nn.Linear(12, CLASSES)

    def forward(self, x):
        y = self.trunk(x)
        for i in range(3):
            y = y + 0.5 * self.mix(y).tanh() * float(i + 1)
            for j in range(i):
                y = y * 1.25 - float(j)
        return self.fc(y.mean((2, 3)))


class TurnsOfShape(nn.Module):
    """As many turns as rows; the condition of going on is computed within."""

    def __init__(self):
        super().__init__()
        self.trunk, self.fc = Trunk(), nn.Linear(12, CLASSES)

    def forward(self, x):
        y = self.trunk(x)
        n = 0
        while n < y.shape[2] // 2:
            y = torch.cat([y[:, :, 1:] * 0.5, y[:, :, :1]], 2).sigmoid() * y
            n += 1
        return self.fc(y.mean((2, 3)))


class Lists(nn.Module):
    """torchvision's MViT finds its tokens' grid so."""

    def __init__(self):
        super().__init__()
        self.trunk, self.fc = Trunk(), nn.Linear(12, CLASSES)

    def forward(self, x):
        y = self.trunk(x)
        parts = [y]
        for i in range(2):
            parts.append(parts[-1] * float(i + 2))
        parts.insert(1, y.sigmoid())
        z = parts[0] * parts[1] + parts[len(parts) - 1]
        return self.fc(torch.cat(parts, 1).mean((2, 3)).reshape(-1, 4, 12).sum(1) + z.mean((2, 3)))


class Case:
    """A model file in `folder`, what is fed, and what PyTorch says."""

    def __init__(self, folder):
        self.folder, self.path = folder, os.path.join(folder, "m.onnx")
        self.options, self.head = [], None

    def export(self, model, inputs, names, picture=0, opset=13, script=False, **options):
        torch.onnx.export(torch.jit.script(model) if script else model, tuple(inputs), self.path, input_names=names, opset_version=opset,
                          **options)
        self.x = inputs[picture].numpy()
        self.scores, self.raw = grad_cam(model, inputs, model.trunk, head=self.head)
        return self

    def give(self, name, values):
        path = os.path.join(self.folder, name + ".npy")
        np.save(path, values)
        self.options += ["--input", f"{name}={path}"]
        return self

    def edit(self, change):
        model = onnx.load(self.path)
        change(model)
        onnx.save(model, self.path)
        return self


def picture(*size):
    return torch.randn(*(size or (1, 3, 16, 20)))


# ---- Inputs and outputs ------------------------------------------------------------------------


def numbers(folder):
    meta = torch.randn(1, 4)
    return Case(folder).export(WithNumbers(True), [picture(), meta], ["x", "meta"]).give(
        "meta", meta.numpy())


def numbers_first(folder):
    meta = torch.randn(1, 4)
    return Case(folder).export(WithNumbers(False), [meta, picture()], ["meta", "x"], 1).give(
        "meta", meta.double().numpy())


def default_number(folder):
    """The graph has a default for the second input: an initializer of its name."""
    meta = torch.randn(1, 4)
    case = Case(folder).export(WithNumbers(True), [picture(), meta], ["x", "meta"])
    return case.edit(lambda m: m.graph.initializer.append(
        numpy_helper.from_array(meta.numpy(), "meta")))


def word(folder):
    w = torch.tensor([[7]])
    return Case(folder).export(WithWord(), [picture(), w], ["x", "word"]).give("word", w.numpy())


def second_picture(folder):
    left, right = picture(), picture()
    case = Case(folder).export(TwoPictures(), [left, right], ["left", "right"], 1)
    case.give("left", left.numpy()).options += ["--picture-input", "right", "--layer", "trunk/last"]
    return case


def second_output(folder):
    case = Case(folder)
    case.head, case.options = 1, ["--head", "b"]
    return case.export(TwoHeads(), [picture()], ["x"], output_names=["a", "b"])


def first_output(folder):
    case = Case(folder)
    case.head = 0
    return case.export(TwoHeads(), [picture()], ["x"], output_names=["a", "b"])


def fixed_batch(folder):
    return Case(folder).export(Plain(), [picture(4, 3, 16, 20)], ["x"])


def free_extents(folder):
    case = Case(folder).export(Plain(), [picture(1, 3, 24, 40)], ["x"],
                               dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
    case.options = ["--size", "40x24"]
    return case


def external(folder):
    case = Case(folder).export(Plain(), [picture()], ["x"])
    model = onnx.load(case.path)
    onnx.save(model, case.path, save_as_external_data=True, location="weights.bin",
              size_threshold=0)
    assert os.path.getsize(os.path.join(folder, "weights.bin")) > 1000
    return case


def beyond_2gb(folder):
    """An embedding of 2.4 GB, which lies in its file behind another 2.4 GB; only its end is not zero."""
    w, rows, place = torch.tensor([[7]]), 50_000_000, 2_400_000_000
    case = Case(folder).export(WithWord(), [picture(), w], ["x", "word"])
    words = {}

    def move(model):
        table = next(t for t in model.graph.initializer if t.name == "words.weight")
        words["tail"] = numpy_helper.to_array(table).tobytes()
        table.ClearField("raw_data")
        table.dims[0] = rows
        table.data_location = TensorProto.EXTERNAL
        for key, value in ("location", "words.bin"), ("offset", str(place)):
            table.external_data.add(key=key, value=value)
    case.edit(move)
    with open(os.path.join(folder, "words.bin"), "wb") as file:  # sparse
        file.seek(place + rows * 12 * 4 - len(words["tail"]))
        file.write(words["tail"])
    return case.give("word", w.numpy() + rows - 9)


# ---- Control flow ------------------------------------------------------------------------------


def scripted(model, opset, *operators, free=True):
    def make(folder):
        axes = {"x": {0: "n", 2: "h", 3: "w"}} if free else None
        case = Case(folder).export(model(), [picture()], ["x"], opset=opset, script=True,
                                   dynamic_axes=axes)
        names = {n.name for n in onnx.load(case.path).graph.node}  # scripting drops some paths
        layer = "/trunk/last/Relu" if "/trunk/last/Relu" in names else "/trunk/Relu_1"
        case.options = ["--size", "20x16", "--layer", layer]
        found = {n.op_type for n in onnx.load(case.path).graph.node}
        assert found >= set(operators), found
        return case
    return make


def constant_branch(taken):
    """An If by hand: its condition an initializer, its branches read values from outside, one of
    them has an operator that nobody knows."""
    def make(folder):
        case = Case(folder).export(Plain(), [picture()], ["x"])

        def change(model):
            graph = model.graph
            gemm = graph.node[-1]
            good = helper.make_graph([gemm.__class__.FromString(gemm.SerializeToString())], "good",
                                     [], [helper.make_tensor_value_info(gemm.output[0], 1, None)])
            bad = helper.make_graph([helper.make_node("Unheard", [gemm.input[0]], ["u"])], "bad", [],
                                    [helper.make_tensor_value_info("u", 1, None)])
            good.node[0].output[0] = good.output[0].name = "g"
            branches = (good, bad) if taken else (bad, good)
            node = helper.make_node("If", ["condition"], [gemm.output[0]], "choice",
                                    then_branch=branches[0], else_branch=branches[1])
            graph.node.remove(gemm)
            graph.node.append(node)
            graph.initializer.append(numpy_helper.from_array(np.array(taken), "condition"))
        return case.edit(change)
    return make


def scan(folder):
    """A Loop by hand that collects what its turns give (scan outputs) and stops by its condition
    before its number of turns: y, 2 y, 4 y stacked and summed, 7 y in all."""
    case = Case(folder).export(Plain(), [picture()], ["x"])

    def change(model):
        graph = model.graph
        relu = [n for n in graph.node if n.op_type == "Relu"][-1]
        value = helper.make_tensor_value_info
        body = helper.make_graph(
            [helper.make_node("Identity", ["a"], ["item"]),
             helper.make_node("Add", ["a", "a"], ["next"]),
             helper.make_node("Less", ["i", "last"], ["go_on"])], "body",
            [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, []), value("a", 1, None)],
            [value("go_on", TensorProto.BOOL, []), value("next", 1, None), value("item", 1, None)],
            [numpy_helper.from_array(np.array(2), "last")])
        loop = helper.make_node("Loop", ["ten", "", "before"], ["end", "items"], "loop", body=body)
        total = helper.make_node("ReduceSum", ["items", "first"], [relu.output[0]], "total",
                                 keepdims=0)
        relu.output[0] = "before"
        at = list(graph.node).index(relu)
        graph.node.insert(at + 1, loop)
        graph.node.insert(at + 2, total)
        graph.initializer.extend([numpy_helper.from_array(np.array(10), "ten"),
                                  numpy_helper.from_array(np.array([0]), "first")])
    case.edit(change)

    class Summed(nn.Module):
        def __init__(self, plain):
            super().__init__()
            self.trunk, self.fc = plain.trunk, plain.fc

        def forward(self, x):
            return self.fc(7 * self.trunk(x).mean((2, 3)))
    torch.manual_seed(11)  # the same weights and picture again
    plain = Plain()
    model, x = Summed(plain), picture()
    case.x, (case.scores, case.raw) = x.numpy(), grad_cam(model, [x], model.trunk)
    case.options = ["--layer", "/trunk/last/Relu"]
    return case


def deep(folder):
    """Six thousand nodes: y + 0.001 tanh(k y), over and over."""
    turns = 1500

    class Deep(Plain):
        def forward(self, x):
            y = self.trunk(x)
            for i in range(turns):
                y = y + 0.001 * (y * (i % 7 - 3.0)).tanh()
            return self.fc(y.mean((2, 3)))
    case = Case(folder).export(Plain(), [picture()], ["x"])

    def change(model):  # PyTorch's own exporter takes minutes
        graph = model.graph
        relu = [n for n in graph.node if n.op_type == "Relu"][-1]
        output, relu.output[0] = relu.output[0], "y0"
        rest = list(graph.node)[list(graph.node).index(relu) + 1:]
        for node in rest:
            graph.node.remove(node)
        for i in range(turns):
            end = output if i == turns - 1 else f"y{i + 1}"
            graph.node.extend([
                helper.make_node("Mul", [f"y{i}", f"k{i % 7}"], [f"m{i}"]),
                helper.make_node("Tanh", [f"m{i}"], [f"t{i}"]),
                helper.make_node("Mul", [f"t{i}", "small"], [f"s{i}"]),
                helper.make_node("Add", [f"y{i}", f"s{i}"], [end])])
        graph.node.extend(rest)
        graph.initializer.append(numpy_helper.from_array(np.float32(0.001), "small"))
        graph.initializer.extend(numpy_helper.from_array(np.float32(i - 3), f"k{i}")
                                 for i in range(7))
    case.edit(change)
    torch.manual_seed(11)  # the same weights and picture again
    model, x = Deep(), picture()
    case.x, (case.scores, case.raw) = x.numpy(), grad_cam(model, [x], model.trunk)
    case.options = ["--layer", "/trunk/last/Relu"]
    return case


CASES = {f.__name__.replace("_", " "): f for f in (
    numbers, numbers_first, default_number, word, second_picture, second_output, first_output,
    fixed_batch, free_extents, external, beyond_2gb, scan, deep)}
CASES.update({
    "branch taken": constant_branch(True),
    "branch not taken": constant_branch(False),
    "branches of shapes": scripted(Branches, 13, "If"),
    "turns": scripted(Turns, 13, "Loop"),
    "turns of shapes": scripted(TurnsOfShape, 16, "Loop"),
    "lists": scripted(Lists, 13, "SequenceAt"),
})


# ---- What has to be refused --------------------------------------------------------------------


def not_given(folder):
    case = numbers(folder)
    case.options = []
    return case, 2, ["--input meta=FILE.npy", "1x4"]


def wrong_shape(folder):
    case = numbers(folder)
    case.options = []
    return case.give("meta", np.zeros((1, 3), np.float32)), 7, ["'meta'", "1x3", "1x4"]


def no_whole_number(folder):
    case = word(folder)
    return case.give("word", np.array([[7.5]])), 2, ["'word'", "7.5", "int64"]


def too_large_a_number(folder):
    case = word(folder)
    return case.give("word", np.array([[2.0**60]])), 2, ["'word'", "2^53"]


def unknown_input(folder):
    case = numbers(folder)
    case.options = []
    return case.give("mets", np.zeros((1, 4), np.float32)), 2, ["'mets'", "'meta'"]


def unknown_output(folder):
    case = second_output(folder)
    case.options = ["--head", "c"]
    return case, 2, ["'c'", "'a', 'b'"]


def no_file(folder):
    case = numbers(folder)
    case.options = ["--input", "meta"]
    return case, 2, ["NAME=FILE.npy"]


def branch_of_picture(folder):
    class Model(Plain):
        def forward(self, x):
            y = self.trunk(x).mean((2, 3))
            if bool(y.sum() > 0):
                y = y * 2.0
            return self.fc(y)
    return scripted(Model, 13, "If")(folder), 5, ["(If)", "its condition"]


def turns_of_picture(folder):
    class Model(Plain):
        def forward(self, x):
            y = self.trunk(x).mean((2, 3))
            while bool(y.sum() < 10):
                y = y * 2.0 + 1.0
            return self.fc(y)
    return scripted(Model, 13, "Loop")(folder), 5, ["(Loop)", "condition of going on"]


def turns_without_end(folder):
    class Model(Plain):
        def forward(self, x):
            y = self.trunk(x).mean((2, 3))
            for i in range(100000):
                y = y * 0.5
            return self.fc(y)
    return scripted(Model, 13, "Loop")(folder), 12, ["(Loop)", "1024"]


REFUSED = {f.__name__.replace("_", " "): f for f in (
    not_given, wrong_shape, no_whole_number, too_large_a_number, unknown_input, unknown_output,
    no_file, branch_of_picture, turns_of_picture, turns_without_end)}


# ---- All ---------------------------------------------------------------------------------------


def free_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable")) * 1024


def check(tool, make):
    if make is beyond_2gb and free_memory() < 8 << 30:
        return True, "SKIPPED: 8 GiB of memory are not free"
    torch.manual_seed(11)
    with tempfile.TemporaryDirectory() as folder:
        case = make(folder)
        done, report, found = explain(tool, folder, case.path, case.x, case.options)
        if report is None:
            return False, done.stderr.strip()
        return judge(report, found, case.scores, case.raw)


def check_refused(tool, make):
    torch.manual_seed(11)
    with tempfile.TemporaryDirectory() as folder:
        case, code, texts = make(folder)
        done, _, _ = explain(tool, folder, case.path, case.x, case.options)
    good = done.returncode == code and all(t in done.stderr for t in texts)
    return good, f"{done.returncode}: {done.stderr.strip()[-300:]}"


def main():
    tool, only, failed = sys.argv[1], sys.argv[2:], 0
    for cases, run in ((CASES, check), (REFUSED, check_refused)):
        for name, make in cases.items():
            if only and name not in only:
                continue
            good, text = run(tool, make)
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {name:20} {text}", flush=True)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
