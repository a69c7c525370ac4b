#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real pretrained networks and photographs from ../shared (skipped with a message where absent).

 - logits, gradients and Grad-CAM maps equal the stored ones of pytorch-grad-cam;
 - the whole command explains the photographs as a person would expect;
 - every other shared model equals the same file run with PyTorch operators.

  check_shared.py GRADCAM PLAN_TOOL SHARED
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from pytorch import torch

from onnx_torch import Network

results = {"passed": 0, "failed": 0}


def report(good, text):
    results["passed" if good else "failed"] += 1
    print(f"{'ok  ' if good else 'FAIL'} {text}", flush=True)


def normalise(raw):
    positive = np.maximum(raw, 0)
    return positive / positive.max()


def plan(tool, model, x, layer, index, prefix, *flags):
    x.astype(np.float32).tofile(prefix + ".input.f32")
    done = subprocess.run([tool, model, prefix + ".input.f32", "x".join(map(str, x.shape)), layer,
                           str(index), prefix, *flags], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    words = done.stdout.split()
    read = lambda what: np.fromfile(f"{prefix}.{what}.f32", np.float32)
    return read, words[words.index("output") + 1], int(words[words.index("class") + 1])


def check_golden(tool, shared, folder):
    golden = os.path.join(shared, "golden")
    with open(os.path.join(golden, "index.json")) as file:
        index = json.load(file)
    model = os.path.join(shared, "models", index["model"])
    for case in index["cases"]:
        if case["method"] != "GradCAM":
            continue
        stem = os.path.splitext(case["picture"])[0]
        x = np.load(os.path.join(golden, stem + ".input.npy"))
        logits = np.load(os.path.join(golden, stem + ".logits.npy"))
        raw = np.load(os.path.join(golden, case["raw"]))
        read, _, _ = plan(tool, model, x, index["layers"][case["layer"]], case["class"],
                          os.path.join(folder, "golden"))
        d_logits = np.abs(read("logits") - logits.ravel()).max() / np.abs(logits).max()
        ours = read("map").reshape(raw.shape)
        d_map = np.abs(normalise(ours) - normalise(raw)).max()
        d_raw = np.abs(ours - raw).max() / np.abs(raw).max()
        report(d_logits <= 1e-3 and d_map <= 1e-3 and d_raw <= 1e-3,
               f"golden {stem} {case['class']} {case['layer']}: logits {d_logits:.1e} "
               f"raw map {d_raw:.1e} map {d_map:.1e}")


def check_against_torch(tool, model, size, folder, channels=3, tolerance=1e-3):
    name = os.path.basename(model)
    torch.manual_seed(3)
    x = torch.rand(1, channels, size, size) * 2 - 1
    network = Network(model)
    try:
        read, output, index = plan(tool, model, x.numpy(), "-", -1, os.path.join(folder, "torch"))
    except RuntimeError as problem:
        report(False, f"{name}: {problem}")
        return
    values = network.run(x, output)
    score = values[network.output]
    tail = [n for n in network.graph.node if n.output[0] == network.output][0]
    if tail.op_type == "Softmax":
        score = values[tail.input[0]]
    found = read("logits")
    expected = score.detach().numpy().ravel()
    d_logits = np.abs(found - expected).max() / np.abs(expected).max()
    gradient, = torch.autograd.grad(score.flatten()[index], values[output])
    gradient = gradient.numpy().ravel()
    scale = np.abs(gradient).max()
    d_gradient = np.abs(read("gradient") - gradient).max() / (scale if scale > 0 else 1.0)
    report(d_logits <= tolerance and d_gradient <= 1e-4,
           f"{name}: layer {output} logits {d_logits:.1e} gradient {d_gradient:.1e}")


def explain(gradcam, *arguments):
    done = subprocess.run([gradcam, "explain", *arguments, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


EXPECTED = {"cat.jpg": "Egyptian cat", "parrot.jpg": "macaw", "hot_dog.jpg": "hotdog",
            "grace_hopper.jpg": "military uniform", "dragonfly.jpg": "dragonfly"}


def check_photographs(gradcam, shared, folder):
    model = os.path.join(shared, "models", "mobilenetv2-imagenet.onnx")
    labels = os.path.join(shared, "labels", "imagenet.txt")
    common = ["--labels", labels, "--preset", "tf", "-o", folder + "/"]
    for picture, label in EXPECTED.items():
        row, = explain(gradcam, model, os.path.join(shared, "images", picture), *common)
        found = row["predictions"][0]["label"]
        report(found.split(",")[0] == label and row["maps"][0]["status"] == "ok", f"{picture}: {found}")
    # Where the two animals are in both.png (500 pixels wide or so), as a person sees them.
    both = os.path.join(shared, "images", "both.png")
    row, = explain(gradcam, model, both, *common, "--class", "244", "--class", "283")
    dog, cat = (m["peak"] for m in row["maps"])
    report(dog["y"] < cat["y"] and dog["x"] < cat["x"] + 60,
           f"both.png: dog peaks at {dog}, cat at {cat}")
    softmax = os.path.join(shared, "models", "mobilenetv2-imagenet-softmax.onnx")
    maps = []
    for m in (model, softmax):
        explain(gradcam, m, both, "--preset", "tf", "--class", "244", "-o", folder + "/s.png",
                f"--npy={folder}/s.npy")
        maps.append(np.load(folder + "/s.npy"))
    report(np.abs(maps[0] - maps[1]).max() <= 1e-5 * np.abs(maps[0]).max(),
           "the model that ends in Softmax gives the same map")


def main():
    gradcam, tool, shared = sys.argv[1:4]
    if not os.path.isdir(shared):
        print(f"skipped: {shared} is not there")
        return 77
    torch.set_num_threads(2)
    models = os.path.join(shared, "models")
    with tempfile.TemporaryDirectory() as folder:
        check_golden(tool, shared, folder)
        check_photographs(gradcam, shared, folder)
        for name, size in (("mobilenetv1-025-128-imagenet", 128), ("mobilenetv2-inat-bird", 224),
                           ("mobilenetv2-imagenet-softmax", 224),
                           ("deeplabv3-mnv2-dm05-pascal", 513)):
            check_against_torch(tool, os.path.join(models, name + ".onnx"), size, folder)
        check_against_torch(tool, os.path.join(models, "zoo-graphs", "mnist-8.onnx"), 28, folder, 1)
    print(f"{results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
