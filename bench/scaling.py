#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How the time of an explanation grows: with the picture, the channels, the threads, the map.

    python3 bench/scaling.py sizes|widths|threads [NETWORK...] [--rounds N] [--runs N] [--threads N]
    python3 bench/scaling.py segmentation MODEL.onnx [--side N] [--target TEXT] [...]

    sizes           inputs of 112^2 to 1024^2: milliseconds for each GFLOP of the forward pass
    widths          the same for networks of 1/2, 1 and 2 times the channels, at 224^2
    threads         one thread beside two
    segmentation    a network whose output is a map of classes, beside ONNX Runtime's forward pass

Warm; those compared take turns, as in compare.py, which prepares everything. A FLOP is an addition or
a product of a convolution or a matrix product, whatever the algorithm.
"""
import argparse
import os

import numpy as np
import torch
import torchvision

import compare

SIDES = (112, 224, 448, 672, 1024)
WIDTHS = (0.5, 1, 2)


def count_flops(model, side):
    """Of convolutions and linear layers, two for each product."""
    total = 0

    def add(module, _, output):
        nonlocal total
        total += 2 * output.numel() * module.weight[0].numel()

    hooks = [module.register_forward_hook(add) for module in model.modules()
             if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))]
    with torch.no_grad():
        model(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return total


def make(name, width):
    torch.manual_seed(0)
    scale = {"width_per_group": int(64 * width)} if "resnet" in name else {"width_mult": width}
    return getattr(torchvision.models, name)(weights=None, **scale).eval()


class Scaling(compare.Bench):
    def model(self, name, width=1):
        """The network as a file that leaves the size of its input free, and the network."""
        model, path = make(name, width), self.path(f"{name}-{width}.onnx")
        if not os.path.exists(path):
            axes = {"x": {2: "height", 3: "width"}}
            torch.onnx.export(model, torch.zeros(1, 3, compare.SIDE, compare.SIDE), path + ".part",
                              opset_version=13, input_names=["x"], dynamic_axes=axes)
            os.rename(path + ".part", path)
        return path, model

    def given(self, side):
        path = self.path(f"input-{side}.f32")
        np.random.default_rng(1).normal(0, 1, (1, 3, side, side)).astype(np.float32).tofile(path)
        return path

    def explain(self, model, side, threads, *target):
        command = [os.path.join(self.build, "bench", "bench_explain"), model, self.given(side),
                   self.path("scaling.f32"), str(threads), *target]
        return compare.Worker(command, dict(self.environment, OMP_NUM_THREADS=str(threads)))

    def alternate(self, workers):
        """Medians in ms, and the best tenth."""
        for worker in workers:
            worker.run(2, is_warm_up=True)
        for _ in range(self.options.rounds):
            for worker in workers:
                worker.run(1, is_warm_up=True)
                worker.run(self.options.runs)
        for worker in workers:
            worker.close()
        return [(summary["median"], summary["p10"]) for summary in (worker.summary() for worker in workers)]

    def print_per_flop(self, name, cases):
        """Cases: text, file, network, side. The last columns compare with the case before."""
        times = self.alternate([self.explain(path, side, self.options.threads) for _, path, _, side in cases])
        print(f"\n| {name} | GFLOP | ms | ms/GFLOP | of the one before |\n|---|---|---|---|---|")
        before = None
        for (text, _, network, side), (ms, _) in zip(cases, times):
            flops = count_flops(network, side) / 1e9
            each = ms / flops
            ratio = f"{each / before:.2f}" if before else ""
            print(f"| {text} | {flops:.2f} | {ms:.1f} | {each:.2f} | {ratio} |", flush=True)
            before = each

    def sizes(self, name):
        self.print_per_flop(name, [(f"{side}^2", *self.model(name), side) for side in SIDES])

    def widths(self, name):
        self.print_per_flop(name, [(f"{width} x the channels", *self.model(name, width), compare.SIDE)
                                   for width in WIDTHS])

    def threads(self, name):
        path, _ = self.model(name)
        one, two = self.alternate([self.explain(path, compare.SIDE, threads) for threads in (1, 2)])
        print(f"{name}: {one[0]:.1f} ms on one thread, {two[0]:.1f} ms on two: {one[0] / two[0]:.2f} x "
              f"(best tenth: {one[1] / two[1]:.2f} x)", flush=True)

    def segmentation(self, path):
        side, threads = self.options.side, self.options.threads
        command = ["node", os.path.join(compare.PEERS, "onnxruntime.js"), path, self.given(side),
                   self.path("onnxruntime.f32"), str(threads)]
        ours, forward = self.alternate([self.explain(path, side, threads, self.options.target),
                                        compare.Worker(command, self.environment)])
        print(f"{os.path.basename(path)}: {ours[0]:.1f} ms, ONNX Runtime's forward pass {forward[0]:.1f} ms: "
              f"{ours[0] / forward[0]:.2f} (best tenth: {ours[1] / forward[1]:.2f})", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["sizes", "widths", "threads", "segmentation"])
    parser.add_argument("networks", nargs="*", default=["resnet50", "mobilenet_v2"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=3, help="of each in a round")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--side", type=int, default=513)
    parser.add_argument("--target", default="0@own")
    options = parser.parse_args()
    bench = Scaling(options)
    bench.build_all()
    print(f"{compare.machine()}; {options.threads} threads")
    for name in options.networks:
        getattr(bench, options.mode)(name)


if __name__ == "__main__":
    main()
