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
from onnx import numpy_helper
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


class Case:
    """A model file in `folder`, what is fed, and what PyTorch says."""

    def __init__(self, folder):
        self.folder, self.path = folder, os.path.join(folder, "m.onnx")
        self.options, self.head = [], None

    def export(self, model, inputs, names, picture=0, opset=13, **options):
        torch.onnx.export(model, tuple(inputs), self.path, input_names=names, opset_version=opset,
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


CASES = {f.__name__.replace("_", " "): f for f in (
    numbers, numbers_first, default_number, word, second_picture, second_output, first_output,
    fixed_batch, free_extents, external)}


# ---- What has to be refused --------------------------------------------------------------------


def not_given(folder):
    case = numbers(folder)
    case.options = []
    return case, 2, ["--input meta=FILE.npy", "1x4"]


def wrong_shape(folder):
    case = numbers(folder)
    case.options = []
    return case.give("meta", np.zeros((1, 3), np.float32)), 7, ["'meta'", "1x3", "1x4"]


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


REFUSED = {f.__name__.replace("_", " "): f for f in (
    not_given, wrong_shape, unknown_input, unknown_output, no_file)}


# ---- All ---------------------------------------------------------------------------------------


def check(tool, make):
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
