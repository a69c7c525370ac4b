#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every kind of target against PyTorch autograd, on a small network of every kind of output that has
such targets: a segmenter, a detector with two outputs, an embedding, one number, several numbers,
independent probabilities, and probabilities that add up to one. Scores within 1e-4; maps of Grad-CAM
and Score-CAM (whose scores come from batches) within 1e-3 of their largest value. Then targets that
cannot be: each is refused with what the output looks like.

  check_targets.py GRADCAM
"""
import os
import sys
import tempfile
import warnings

import cv2
import numpy as np
import torch
from torch import nn

import cam_methods as oracle
from cam_methods import View
from cam_tool import Tool, compare, conclude, export, report, settle

warnings.filterwarnings("ignore")
SIZE = 32


class Body(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 10, 3, 2, 1), nn.ReLU(), nn.Conv2d(10, 14, 3, 2, 1), nn.ReLU())


class Segmenter(nn.Module):
    """N x 5 x 32 x 32, upsampled from an eighth."""

    def __init__(self):
        super().__init__()
        self.body, self.head = Body(), nn.Conv2d(14, 5, 1)

    def forward(self, x):
        return nn.functional.interpolate(self.head(self.body(x)), scale_factor=4.0, mode="bilinear",
                                         align_corners=False)


class Detector(nn.Module):
    """boxes N x 64 x 4, scores N x 64 x 6."""

    def __init__(self):
        super().__init__()
        self.body, self.boxes, self.scores = Body(), nn.Conv2d(14, 4, 1), nn.Conv2d(14, 6, 1)

    def forward(self, x):
        x = self.body(x)
        return tuple(f(x).flatten(2).transpose(1, 2) for f in (self.boxes, self.scores))


class Pooled(nn.Module):
    def __init__(self, count, last=None):
        super().__init__()
        self.body, self.head = Body(), nn.Linear(14, count)
        self.last = last or nn.Identity()

    def forward(self, x):
        return self.last(self.head(self.body(x).mean((2, 3))))


# ---- Comparing ----------------------------------------------------------------------------------

METHODS = {"gradcam": oracle.gradcam, "scorecam:channels=4": lambda v: oracle.scorecam(v, channels=4)}


def check(tool, name, path, x, targets, options=()):
    """`targets` maps the text of a target to its score as a function of the outputs."""
    layer, = [entry for entry in tool.layers(path) if entry["target"]]
    wanted = [w for t in targets for w in ("--target", t)]
    for method, definition in METHODS.items():
        found = tool.maps(path, x, "--method", method, *wanted, *options)
        report(len(found) == len(targets), f"{name}: a map for each of {len(targets)} targets")
        for (entry, ours), (target, score) in zip(found, targets.items()):
            view = View(path, x, layer["output"], score)
            compare(ours, definition(view), f"{name} {method} of {target}")
            report(abs(entry["score"] - view.s0) <= 1e-4 * max(1, abs(view.s0)),
                   f"{name} score of {target}: {entry['score']:.5g}, {view.s0:.5g}")


def refuse(tool, name, path, x, target, code, *texts):
    done = tool.explain(path, x, "--target", target)
    good = done.returncode == code and all(t in done.stderr for t in texts)
    report(good, f"{name} refuses {target}: {done.returncode} {done.stderr.strip()}")


# ---- Kinds of outputs ---------------------------------------------------------------------------

def check_segmenter(tool, folder):
    path = os.path.join(folder, "segmenter.onnx")
    model, x = settle(Segmenter(), 11), picture(21)
    export(model, SIZE, path)
    with torch.no_grad():
        z = model(torch.as_tensor(x))[0].numpy()
    predicted = z.argmax(0)
    often = int(np.bincount(predicted.ravel()).argmax())
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[5:20, 9:30] = 255
    cv2.imwrite(os.path.join(folder, "mask.png"), mask)
    np.save(os.path.join(folder, "mask.npy"), (mask > 0).astype(np.float32))
    over = lambda c, m: lambda o: (o[0][0, c] * torch.as_tensor(m)).sum()
    at = lambda c: lambda o: o[0][0, c, 7, 20]
    check(tool, "segmenter", path, x, {
        str(often): over(often, predicted == often), f"{often}@own": over(often, predicted == often),
        "3@all": over(3, np.ones_like(predicted)), "3@20,7": at(3),
        "@20,7": at(int(predicted[7, 20])), f"3@{folder}/mask.png": over(3, mask > 0),
        f"2@{folder}/mask.npy": over(2, mask > 0), "logits[0,2,4:9,10]": lambda o: o[0][0, 2, 4:9, 10].sum(),
    })
    layer, = [entry for entry in tool.layers(path) if entry["target"]]
    for options, score in ((["--at", "20,7"], at(int(predicted[7, 20]))),
                           (["--at", "20,7", "--class", "3"], at(3))):
        (_, ours), = tool.maps(path, x, *options)
        compare(ours, oracle.gradcam(View(path, x, layer["output"], score)),
                f"segmenter {' '.join(options)}")
    missing = [c for c in range(5) if c not in predicted]
    if missing:
        refuse(tool, "segmenter", path, x, f"{missing[0]}@own", 9, "predicted nowhere")
    refuse(tool, "segmenter", path, x, "top:2", 7, "1x5x32x32", "CLASS@own")
    refuse(tool, "segmenter", path, x, "prob:1", 7, "1x5x32x32")
    refuse(tool, "segmenter", path, x, "9@all", 9, "0 to 4")
    refuse(tool, "segmenter", path, x, "1@99,3", 2, "99,3")
    refuse(tool, "segmenter", path, x, f"1@{folder}/none.png", 3, "none.png")


def check_detector(tool, folder):
    path = os.path.join(folder, "detector.onnx")
    model, x = settle(Detector(), 12), picture(22)
    export(model, SIZE, path, ("boxes", "scores"))
    check(tool, "detector", path, x, {
        "boxes[0,12,3]": lambda o: o[0][0, 12, 3], "scores[0,:,3]": lambda o: o[1][0, :, 3].sum(),
        "boxes[0,3+7+9,2]": lambda o: o[0][0, [3, 7, 9], 2].sum(),
        "scores[0,2:9,1]": lambda o: o[1][0, 2:9, 1].sum(),
        "scores[0,-1]": lambda o: o[1][0, -1].sum(), "scores[]": lambda o: o[1].sum(),
        "[0,12,3]": lambda o: o[0][0, 12, 3], "up:51": lambda o: o[0].flatten()[51],
    })
    refuse(tool, "detector", path, x, "3", 7, "boxes", "1x64x4", "[0,12,4]")
    refuse(tool, "detector", path, x, "boxes[0,64,1]", 2, "1x64x4")
    refuse(tool, "detector", path, x, "boxes[0,1,1,1]", 2, "1x64x4")
    refuse(tool, "detector", path, x, "boxes[0,x]", 2, "1x64x4")
    refuse(tool, "detector", path, x, "labels[0]", 2, "'boxes', 'scores'")
    refuse(tool, "detector", path, x, "binary:+", 7, "1x64x4")
    refuse(tool, "detector", path, x, "3@all", 7, "1x64x4")


def check_embedding(tool, folder):
    path = os.path.join(folder, "embedding.onnx")
    model, x = settle(Pooled(12), 13), picture(23)
    export(model, SIZE, path, ("embedding",))
    other = np.random.default_rng(5).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    cv2.imwrite(os.path.join(folder, "other.png"), other[..., ::-1])
    with torch.no_grad():
        like = torch.as_tensor(other.transpose(2, 0, 1)[None] / 255).double()
        reference = model.double()(like)[0]
    same = lambda o: torch.cosine_similarity(o[0][0], reference, 0)
    check(tool, "embedding", path, x, {f"like:{folder}/other.png": same,
                                       "diff:2,5": lambda o: o[0][0, 2] - o[0][0, 5]},
          ("--preset", "unit"))
    refuse(tool, "embedding", path, x, "like:none.png", 3, "none.png")


def check_numbers(tool, folder):
    path, x = os.path.join(folder, "one.onnx"), picture(24)
    export(settle(Pooled(1), 14), SIZE, path)
    number = lambda o: o[0][0, 0]
    check(tool, "one number", path, x, {
        "binary:+": number, "binary:-": lambda o: -number(o), "up": number,
        "down": lambda o: -number(o), "up:0": number,
    })
    refuse(tool, "one number", path, x, "binary:0", 2, "binary:+")
    refuse(tool, "one number", path, x, "up:1", 2, "1x1")
    path = os.path.join(folder, "binary.onnx")
    export(settle(Pooled(1, nn.Sigmoid()), 15), SIZE, path)
    logit = lambda o: torch.logit(o[0][0, 0])
    check(tool, "one probability", path, x, {
        "binary:+": logit, "binary:-": lambda o: -logit(o), "prob:0": lambda o: o[0][0, 0],
    })
    path = os.path.join(folder, "three.onnx")
    export(settle(Pooled(3), 16), SIZE, path)
    check(tool, "three numbers", path, x, {"up:1": lambda o: o[0][0, 1],
                                           "down:2": lambda o: -o[0][0, 2]})
    refuse(tool, "three numbers", path, x, "up", 2, "1x3", "up:0")
    refuse(tool, "three numbers", path, x, "binary:+", 7, "1x3", "single logit")


def check_probabilities(tool, folder):
    """A final Sigmoid or Softmax is stepped over for logits and used for probabilities."""
    x = picture(25)
    path = os.path.join(folder, "labels.onnx")
    export(settle(Pooled(6, nn.Sigmoid()), 17), SIZE, path)
    p = lambda o, i: o[0][0, i]
    check(tool, "independent labels", path, x, {
        "2": lambda o: torch.logit(p(o, 2)), "prob:2": lambda o: p(o, 2),
        "logprob:2": lambda o: p(o, 2).log(),
        "rest:2": lambda o: torch.logit(p(o, 2)) + p(o, 2).log(),
        "diff:1,4": lambda o: torch.logit(p(o, 1)) - torch.logit(p(o, 4)),
    })
    check(tool, "independent labels", path, x, {"2": lambda o: p(o, 2)}, ("--after-activation",))
    path = os.path.join(folder, "softmax.onnx")
    model = settle(Pooled(6, nn.Softmax(1)), 18)
    export(model, SIZE, path)
    check(tool, "softmax", path, x, {
        "prob:2": lambda o: p(o, 2), "logprob:2": lambda o: p(o, 2).log(),
        "diff:1,4": lambda o: p(o, 1).log() - p(o, 4).log(),
    })
    check(tool, "softmax", path, x, {"2": lambda o: p(o, 2)}, ("--after-activation",))
    best = model(torch.as_tensor(x))[0].argsort(descending=True)[:3].tolist()
    found = [e["class_index"] for e, _ in tool.maps(path, x, "--target", "top:3")]
    report(found == best, f"softmax top:3 are {found}, {best}")
    refuse(tool, "softmax", path, x, "6", 9, "0 to 5")
    refuse(tool, "softmax", path, x, "2@own", 7, "1x6")
    refuse(tool, "softmax", path, x, "diff:2", 2, "diff:cat,dog")
    refuse(tool, "softmax", path, x, "top:0", 2, "top:3")


def picture(seed):
    return np.random.default_rng(seed).random((1, 3, SIZE, SIZE)).astype(np.float32)


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(sys.argv[1], folder)
        for f in (check_segmenter, check_detector, check_embedding, check_numbers,
                  check_probabilities):
            f(tool, folder)
    return conclude()


if __name__ == "__main__":
    sys.exit(main())
