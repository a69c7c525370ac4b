# SPDX-License-Identifier: Apache-2.0
"""PyTorch's side of bench/compare.py: the Grad-CAM recipe with hooks.

   pytorch.py NETWORK INPUT.f32 MAP.f32 THREADS   (the weights lie where MAP.f32 goes)
"""
import os
import sys
import time

import numpy as np
import torch

import networks


def grad_cam(model, layer, x):
    """The raw map (H x W) of the predicted class, and the logits."""
    kept = []
    # A copy, so that a ReLU in place behind the layer cannot change what was kept.
    handle = layer.register_forward_hook(lambda module, inputs, output: kept.append(output) or output.clone())
    try:
        logits = model(x)
    finally:
        handle.remove()
    activation = kept[0]
    gradient, = torch.autograd.grad(logits[0, logits[0].argmax()], activation)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * activation).sum(1)[0].detach(), logits.detach()


def main(name, source, target, threads):
    torch.set_num_threads(int(threads))
    model, layer = networks.make(name, os.path.dirname(target))
    values = torch.from_numpy(np.fromfile(source, np.float32))
    side = int((len(values) / 3) ** 0.5)
    x = values.reshape(1, 3, side, side)
    cam, logits = grad_cam(model, layer, x)
    cam.numpy().tofile(target)
    logits.numpy().tofile(target + ".logits")
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            grad_cam(model, layer, x)
            times.append((time.perf_counter() - start) * 1e3)
        print(*times, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
