#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""torchvision's networks against PyTorch: logits, gradient at the default layer, Grad-CAM map.

Each network is made with random weights, exported with a dynamic batch axis, run by the engine and
compared with autograd on the same weights. PyTorch's own layer is found without our help: the input
of the network's last pooling, or the module that TARGETS names. Tolerances: logits 1e-3 of the
largest, gradient 1e-4 of the largest, normalised map 1e-3 and correlation 0.99999.

  check_torchvision.py PLAN_TOOL                    the representative subset, for CI
  check_torchvision.py PLAN_TOOL --all              every classifier, segmenter, video network and
                                                    detector's backbone, at opsets 13 and 17
  check_torchvision.py PLAN_TOOL NAME... [--opset N ...]
  ... --results FILE.jsonl                          keeps results there; what is in it is not run again
  ... --table FILE.md                               writes docs/networks.md from the results
"""
import argparse
import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import onnx
from pytorch import torch
import torch.nn.functional as F
import torchvision

import torchvision_networks as networks
from onnx_torch import Network

warnings.filterwarnings("ignore")
OPSETS = (13, 17)

# One of each family, at an opset each.
SUBSET = {
    "alexnet": 13, "vgg11_bn": 17, "resnet18": 13, "resnext50_32x4d": 17, "densenet121": 13,
    "squeezenet1_1": 17, "mobilenet_v2": 13, "mobilenet_v3_small": 17, "efficientnet_b0": 13,
    "efficientnet_v2_s": 17, "shufflenet_v2_x1_0": 13, "googlenet": 17, "inception_v3": 13,
    "mnasnet0_5": 17, "regnet_y_400mf": 13, "convnext_tiny": 17, "vit_b_32": 17, "swin_t": 13,
    "swin_v2_t": 17, "maxvit_t": 13, "lraspp_mobilenet_v3_large": 13, "r3d_18": 17,
    "fasterrcnn_mobilenet_v3_large_fpn": 13,
}
# Whose gradient further inside is compared, too: those that onnx_torch.py can run.
INNER = {"alexnet", "resnet18", "densenet121", "squeezenet1_1", "mobilenet_v3_small",
         "efficientnet_b0", "shufflenet_v2_x1_0", "googlenet", "regnet_y_400mf", "convnext_tiny"}


# ---- PyTorch's answer --------------------------------------------------------------------------


@contextlib.contextmanager
def last_pooling(found):
    """Within, found[0] is the input of the last pooling or mean that takes spatial extents away."""
    originals = F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, torch.Tensor.mean

    def watch(function):
        def run(x, *args, **options):
            if x.dim() >= 3 and x.requires_grad and x[0, 0].numel() > 1:
                x.retain_grad()
                found[:] = [x]
            return function(x, *args, **options)
        return run
    F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, torch.Tensor.mean = map(watch, originals)
    try:
        yield
    finally:
        F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, torch.Tensor.mean = originals


@contextlib.contextmanager
def hooked(model, path, end, found):
    """Within, found[0] is the input or output of the module called `path`."""
    def keep(tensor):
        tensor.retain_grad()
        found[:] = [tensor]
    module = model.get_submodule(path)
    handle = (module.register_forward_pre_hook(lambda m, inputs: keep(inputs[0])) if end == "in"
              else module.register_forward_hook(lambda m, inputs, output: keep(output)))
    try:
        yield
    finally:
        handle.remove()


def expected(network, x, rank=0):
    """Scores, the explained one's index (of the best score but `rank`), gradient and raw map of
    PyTorch."""
    model, target, found = network.model, network.target, []
    with last_pooling(found) if target is None else hooked(model, *target, found):
        scores = model(x.requires_grad_(True))[0].flatten()
    start, end = getattr(model, "span", (0, len(scores)))
    index = start + int(scores[start:end].argsort(descending=True)[rank])
    scores[index].backward()
    layer, = found
    activation = layer.detach()[0].double().numpy()
    gradient = layer.grad[0].double().numpy()
    if network.tokens is not None:  # L x C: the grid's tokens, channels first
        extra, grid = network.tokens
        a, g = (t[extra:].T.reshape(-1, *grid) for t in (activation, gradient))
    else:
        a, g = activation, gradient
    weights = g.reshape(len(g), -1).mean(axis=1)
    raw = np.tensordot(weights, a, axes=1)
    return scores.detach().numpy(), index, gradient, raw


def judged(network):
    """An input for which the map has something to show, and PyTorch's answer to it. Of a backbone,
    where no input will do for the best of many thousand scores, another score."""
    ranks = (0,) if network.kind in ("Classifiers", "Video") else (0, 100, 1000, 10000)
    for rank in ranks:
        for seed in range(7, 17):
            x = torch.randn(network.size, generator=torch.Generator().manual_seed(seed))
            answer = expected(network, x, rank)
            if answer[3].max() > 0:
                return x.detach(), answer
    raise RuntimeError("PyTorch's map has no positive value for forty inputs and scores: nothing is compared")


# ---- Ours --------------------------------------------------------------------------------------


def normalise(raw):
    positive = np.maximum(raw, 0)
    return positive / positive.max() if positive.max() > 0 else positive


def read(prefix, what, shape):
    values = np.fromfile(f"{prefix}.{what}.f32", np.float32)
    if values.size != np.prod(shape):
        raise RuntimeError(f"another layer was chosen: {what} has {values.size} elements, "
                           f"PyTorch's {shape}")
    return values.reshape(shape)


def run_tool(tool, path, prefix, x, layer, index):
    x.detach().numpy().tofile(prefix + ".input.f32")
    dims = "x".join(map(str, x.shape))
    done = subprocess.run([tool, path, prefix + ".input.f32", dims, str(layer), str(index), prefix],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    words = done.stdout.split()
    return dict(zip(words[::2], words[1::2]))


def difference(found, wanted):
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def torch_gradient(path, x, index, name, dtype):
    network = Network(path, dtype)
    values = network.run(x.to(dtype), name)
    gradient, = torch.autograd.grad(values[network.output].flatten()[index], values[name])
    return gradient.double().numpy()


def check_inner(tool, path, prefix, size, index, layer):
    """The gradient at another layer against the ONNX file run with PyTorch operators.

    With millions of ReLUs and maxima behind a layer, one of them may be so near its kink that
    rounding decides on which side it is, and then the gradients of two correct programs differ. That
    depends on the input, while a mistake does not: one of four inputs must agree, unless for each
    PyTorch in float32 disagrees with itself in float64 as well."""
    is_judged = False
    for attempt in range(4):
        x = torch.randn(size, generator=torch.Generator().manual_seed(100 + attempt))
        name = run_tool(tool, path, prefix, x, layer, index)["output"]
        gradient = torch_gradient(path, x, index, name, torch.float32)
        found = difference(read(prefix, "gradient", gradient.shape), gradient)
        if found <= 1e-4:
            return True, f"{found:.1e}"
        single, double = (torch_gradient(path, x, index, name, t)
                          for t in (torch.float32, torch.float64))
        is_judged |= difference(single, double) <= 1e-4
    return not is_judged, f"{found:.1e}" if is_judged else "PyTorch disagrees with itself"


def compare(tool, network, path, prefix, x, answer, inner):
    scores, index, gradient, raw = answer
    report = run_tool(tool, path, prefix, x, network.layer, index)
    found = read(prefix, "logits", scores.shape)
    ours, theirs = normalise(read(prefix, "map", raw.shape)), normalise(raw)
    row = {
        "logits": difference(found, scores),
        "gradient": difference(read(prefix, "gradient", gradient.shape), gradient),
        "map": float(np.abs(ours - theirs).max()),
        "correlation": float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]),
        "layer": report["layer"], "shape": "x".join(map(str, raw.shape)),
        "forward_ms": float(report["forward_ms"]), "backward_ms": float(report["backward_ms"]),
    }
    if network.kind in ("Classifiers", "Video") and int(found.argmax()) != index:
        raise RuntimeError(f"top-1 {int(found.argmax())}, expected {index}")
    row["good"] = (row["logits"] <= 1e-3 and row["gradient"] <= 1e-4 and row["map"] <= 1e-3
                   and row["correlation"] >= 0.99999)
    if inner:
        layer = int(int(report["candidates"]) * 0.7)
        good, row["inner"] = check_inner(tool, path, prefix, x.shape, index, layer)
        row["good"] = row["good"] and good
    return row


# ---- One network -------------------------------------------------------------------------------


def check(tool, name, opset, folder, inner):
    """A row of the table."""
    network = networks.build(name)
    path, prefix = os.path.join(folder, "model.onnx"), os.path.join(folder, "x")
    row = {"name": name, "kind": network.kind, "opset": opset,
           "input": "x".join(map(str, network.size)),
           "parameters": sum(p.numel() for p in network.model.parameters())}
    try:
        networks.export(network, torch.zeros(network.size), path, opset)
    except Exception as error:  # whatever the exporter throws is what its user sees
        lines = [s.strip() for s in str(error).splitlines() if s.strip()]
        return dict(row, good=True, exporter=f"{type(error).__name__}: {lines[0] if lines else ''}")
    model = onnx.load(path, load_external_data=False)
    row.update(nodes=len(model.graph.node), operators=len({n.op_type for n in model.graph.node}))
    try:
        x, answer = judged(network)
        network.model = None  # the largest do not fit in memory twice
        row.update(compare(tool, network, path, prefix, x, answer, inner))
    except RuntimeError as error:
        row.update(good=False, error=str(error))
    return row


def text_of(row):
    text = f"{'ok  ' if row['good'] else 'FAIL'} {row['name']:32} {row['opset']} "
    if "exporter" in row:
        return f"{text} not exportable: {row['exporter'][:100]}"
    if "error" in row:
        return f"{text} {row['error']}"
    text += (f"logits {row['logits']:.1e} gradient {row['gradient']:.1e} map {row['map']:.1e} "
             f"correlation {row['correlation']:.7f}  {row['shape']} at {row['layer']}")
    return text + (f"  inner gradient {row['inner']}" if "inner" in row else "")


# ---- The table ---------------------------------------------------------------------------------

HEAD = """# Networks

Generated by `tests/oracle/check_torchvision.py BUILD/tests/oracle/plan_tool --all --results
FILE.jsonl --table docs/networks.md` on {date}, with PyTorch {torch} and torchvision {vision} as the
oracle: random weights, a dynamic batch axis, batch 1. {good} of {total} rows agree{failed}.

- *nodes*: of the exported graph, and the number of operator types among them.
- *logits*, *gradient* (of the best score at the default layer): largest difference, as a share of the
  largest value. *map*: largest difference of the maps in [0,1]. Allowed: 1e-3, 1e-4, 1e-3.
- *ms*: forward and backward of the engine, one run, {threads}; the machine was doing other things too.
- Segmenters are explained for the best element of their output, detectors' backbones for the best of
  a late feature map with respect to the last layer before the feature pyramid or the extra ones.

"""


def cells(row):
    start = [row["name"], str(row["opset"]), row["input"]]
    if "exporter" in row:
        return start + ["not exportable by PyTorch: `" + row["exporter"][:160].replace("|", "/") + "`"]
    if "error" in row:
        return start + ["**fails**: " + row["error"].splitlines()[0]]
    return start + [f"{row['nodes']} / {row['operators']}", row["shape"], f"{row['logits']:.1e}",
                    f"{row['gradient']:.1e}", f"{row['map']:.1e}",
                    f"{row['forward_ms']:.0f} + {row['backward_ms']:.0f}"]


def write_table(path, rows):
    exported = [r for r in rows if "exporter" not in r]
    good = sum(r["good"] for r in exported)
    threads = os.environ.get("OMP_NUM_THREADS")
    text = HEAD.format(
        date=datetime.date.today().isoformat(), torch=torch.__version__,
        vision=torchvision.__version__, good=good, total=len(exported),
        failed="" if len(rows) == len(exported) else
        f"; {len(rows) - len(exported)} more cannot be exported by this PyTorch at that opset",
        threads=f"{threads} thread{'s' if threads != '1' else ''}" if threads else "all cores")
    for kind in networks.KINDS:
        text += f"## {kind}\n\n| network | opset | input | nodes / types | map | logits | gradient " \
                "| map differs | ms |\n|---|---|---|---|---|---|---|---|---|\n"
        for row in sorted((r for r in rows if r["kind"] == kind),
                          key=lambda r: (networks.NAMES.index(r["name"]), r["opset"])):
            text += "| " + " | ".join(cells(row)) + " |\n"
        text += "\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.rstrip() + "\n")


# ---- All ---------------------------------------------------------------------------------------


def stored(path):
    if path is None or not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--opset", type=int, action="append")
    parser.add_argument("--results")
    parser.add_argument("--table")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    if options.names or options.all:
        work = [(n, o) for n in options.names or networks.NAMES for o in options.opset or OPSETS]
    else:
        work = list(SUBSET.items())
    rows = stored(options.results)
    done = {(r["name"], r["opset"]) for r in rows if r["good"]}
    rows = [r for r in rows if r["good"]]
    for name, opset in work:
        if (name, opset) in done:
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            row = check(options.tool, name, opset, folder, name in INNER and not options.all)
        rows.append(row)
        print(f"{text_of(row)}  ({time.monotonic() - start:.0f} s)", flush=True)
        if options.results:
            with open(options.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    if options.table:
        write_table(options.table, rows)
    failed = sum(not r["good"] for r in rows)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
