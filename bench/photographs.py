#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`gradcam explain` on many photographs, beside what the engine alone does with ready tensors.

    python3 bench/photographs.py MODEL.onnx PHOTOGRAPH... [--count 1000] [--rounds N] [--threads N]

Cuts COUNT photographs of 500 x 375 pixels, as ImageNet's are, out of those given, and explains them all with
one command: decoded, explained, rendered, written as PNG. The engine explains as many tensors as last 2
seconds before and after each run: several at once, each on one thread (bench_batch). Says pictures a second of
both, start and end of the command included, and its peak memory with a tenth of the photographs and with all.
"""
import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
WIDTH, HEIGHT = 500, 375


def cut(folder, sources, count):
    """Their paths."""
    chance = random.Random(1)
    originals = [Image.open(path).convert("RGB") for path in sources]
    originals = [image for image in originals if image.width >= WIDTH and image.height >= HEIGHT]
    if not originals:
        sys.exit(f"none of the photographs has {WIDTH} x {HEIGHT} pixels")
    paths = []
    for i in range(count):
        image = originals[i % len(originals)]
        x, y = chance.randint(0, image.width - WIDTH), chance.randint(0, image.height - HEIGHT)
        paths.append(os.path.join(folder, f"photo{i:05}.jpg"))
        image.crop((x, y, x + WIDTH, y + HEIGHT)).save(paths[-1], quality=90)
    return paths


class Engine:
    def __init__(self, model, folder, threads):
        given = os.path.join(folder, "input.f32")
        np.random.default_rng(1).normal(0, 1, 3 * 1024 * 1024).astype(np.float32).tofile(given)
        self.process = subprocess.Popen([os.path.join(BUILD, "bench", "bench_batch"), model, given, str(threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit("bench_batch did not get ready")
        self.batch = 32
        self.batch = max(32, int(2 * self.rate()))

    def rate(self):
        """Pictures a second, after a few to get the caches back."""
        self.process.stdin.write(f"8 1\n{self.batch} 1\n")
        self.process.stdin.flush()
        self.process.stdout.readline()
        return 1000 * self.batch / float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def explain(model, paths, folder, threads):
    """Pictures a second and peak bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    tool = os.path.join(BUILD, "src", "cli", "gradcam")
    start = time.perf_counter()
    process = os.posix_spawn(tool, [tool, "explain", model, *paths, "-q", "-o", folder + "/", "--threads",
                                    str(threads)], os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"gradcam explain failed: {status}")
    return len(paths) / seconds, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("photographs", nargs="+")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    folder = os.path.join(BUILD, "photographs")
    os.makedirs(folder, exist_ok=True)
    paths = cut(folder, options.photographs, options.count)
    output = os.path.join(folder, "maps")
    # A process counts the peak of the one that forked it as its own, hence the floor of this one.
    _, few = explain(options.model, paths[:max(options.count // 10, 1)], output, options.threads)
    engine = Engine(options.model, folder, options.threads)
    ratios = []
    for _ in range(options.rounds):
        before = engine.rate()
        rate, all_of_them = explain(options.model, paths, output, options.threads)
        alone = statistics.mean((before, engine.rate()))
        ratios.append(rate / alone)
        print(f"gradcam explain {rate:.1f} pictures a second, engine alone {alone:.1f}: {ratios[-1]:.3f}", flush=True)
    engine.close()
    print(f"Median share of the engine's throughput: {statistics.median(ratios):.3f}; peak memory "
          f"{few / 1e6:.0f} MB with {max(options.count // 10, 1)} photographs, {all_of_them / 1e6:.0f} MB with "
          f"{options.count}")
    shutil.rmtree(output)


if __name__ == "__main__":
    main()
