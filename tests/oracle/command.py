# SPDX-License-Identifier: Apache-2.0
"""The command line on a tensor, and PyTorch's answer at a module: what several oracles compare."""
import json
import os
import subprocess

import numpy as np


def explain(tool, folder, path, x, options=()):
    """The finished process, its report and the raw map at the layer's resolution; None, None on
    failure."""
    tensor = os.path.join(folder, "x.npy")
    np.save(tensor, x)
    done = subprocess.run(
        [tool, "explain", path, "--input-npy", tensor, "--npy-kind", "raw", "--json",
         "-o", folder + "/maps/", *options], capture_output=True, text=True)
    if done.returncode != 0:
        return done, None, None
    report = json.loads(done.stdout)
    (npy,) = [f for f in report["maps"][0]["files"] if f.endswith(".npy")]
    return done, report, np.load(npy)


def grad_cam(model, inputs, module, index=None, head=None):
    """Scores and raw Grad-CAM map of the first sample at the output of `module`, N x C x H x W.
    `index` of the score: the best one if None; `head`: of the output, where there are several."""
    kept = []

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)
    handle = module.register_forward_hook(keep)
    scores = model(*inputs)
    handle.remove()
    scores = (scores if head is None else scores[head])[0]
    scores[scores.argmax() if index is None else index].backward()
    a, g = (t[0].double().numpy() for t in (kept[-1].detach(), kept[-1].grad))
    return scores.detach().numpy(), np.tensordot(g.mean((1, 2)), a, axes=1)


def differences(report, found, scores, raw):
    """(largest difference of the reported logits, of the map), as shares of the largest value."""
    logits = {p["index"]: p["logit"] for p in report["predictions"]}
    d_logits = max(abs(v - scores[i]) for i, v in logits.items()) / np.abs(scores).max()
    if found.shape != raw.shape:
        return d_logits, f"shape {found.shape}, expected {raw.shape}"
    return d_logits, np.abs(found - raw).max() / np.abs(raw).max()


def judge(report, found, scores, raw, tolerance=1e-4):
    """(good, text) for a line of the report."""
    d_logits, d_map = differences(report, found, scores, raw)
    if isinstance(d_map, str):
        return False, d_map
    return d_logits <= tolerance and d_map <= tolerance, (
        f"logits {d_logits:.1e} map {d_map:.1e} at {report['maps'][0]['layer']['name']}")
