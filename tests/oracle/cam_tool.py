# SPDX-License-Identifier: Apache-2.0
"""What the checks of methods and of targets share: the command, and what counts as equal."""
import json
import os
import subprocess

import numpy as np
import torch
from torch import nn

results = {"passed": 0, "failed": 0}


def report(good, text):
    results["passed" if good else "failed"] += 1
    print(f"{'ok  ' if good else 'FAIL'} {text}", flush=True)


def conclude():
    """The exit code."""
    print(f"{results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


class Tool:
    def __init__(self, gradcam, folder):
        self.gradcam, self.folder = gradcam, folder
        self.runs = 0

    def layers(self, model):
        done = subprocess.run([self.gradcam, "layers", model, "--json"], capture_output=True,
                              text=True, check=True)
        return json.loads(done.stdout)["layers"]

    def explain(self, model, x, *options):
        """(the finished process, the folder it wrote to)"""
        self.runs += 1
        out = os.path.join(self.folder, f"run{self.runs}")
        np.save(os.path.join(self.folder, "x.npy"), np.asarray(x, np.float32))
        command = [self.gradcam, "explain", model, "--input-npy",
                   os.path.join(self.folder, "x.npy"), "-o", out + "/", "--json", "--npy-kind",
                   "raw", *options]
        return subprocess.run(command, capture_output=True, text=True)

    def maps(self, model, x, *options):
        """[(entry of the JSON report, array)] of all maps of a run."""
        done = self.explain(model, x, *options)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        entries = json.loads(done.stdout)["maps"]
        return [(e, np.load([f for f in e["files"] if f.endswith(".npy")][0])) for e in entries]


def differences(found, wanted):
    if found.shape != wanted.shape:
        return np.inf, 0.0
    scale = np.abs(wanted).max()
    if scale == 0:
        return np.abs(found).max(), 1.0
    largest = np.abs(found - wanted).max() / scale
    if wanted.std() < 1e-9 * scale:
        return largest, 1.0
    return largest, np.corrcoef(found.ravel(), wanted.ravel())[0, 1]


def compare(found, wanted, text, tolerance=1e-3):
    largest, correlation = differences(found, wanted)
    report(largest <= tolerance and correlation >= 0.99999, f"{text}: {largest:.1e}")


# ---- Networks -----------------------------------------------------------------------------------

def settle(model, seed):
    """Weights and statistics that keep activations of the same size through the network."""
    generator = torch.Generator().manual_seed(seed)
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            fan = m.weight[0].numel()
            m.weight.data.normal_(0, (2 / fan) ** 0.5, generator=generator)
            if m.bias is not None:
                m.bias.data.normal_(0, 0.1, generator=generator)
        if isinstance(m, nn.BatchNorm2d):
            m.weight.data.uniform_(0.5, 1.5, generator=generator)
            m.bias.data.normal_(0, 0.2, generator=generator)
            m.running_mean.normal_(0, 0.2, generator=generator)
            m.running_var.uniform_(0.5, 1.5, generator=generator)
    return model.eval()


def export(model, size, path, outputs=("logits",)):
    torch.onnx.export(model, torch.zeros(1, 3, size, size), path, opset_version=13,
                      input_names=["input"], output_names=list(outputs),
                      dynamic_axes={name: {0: "batch"} for name in ("input", *outputs)})
