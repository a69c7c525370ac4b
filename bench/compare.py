#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gradcam beside ONNX Runtime and PyTorch, in one run on one machine.

    python3 bench/compare.py [NETWORK...] [--rounds N] [--runs N] [--threads N] [--bfloat16] [--json FILE]
    python3 bench/compare.py [NETWORK...] --batches 1,8,16,32 [--rounds N] [--threads N] [--json FILE]

Builds gradcam, exports torchvision's networks (random weights), installs ONNX Runtime from npm into the
build folder, and measures, warm, one 1x3x224x224 float32 tensor at a time:

    gradcam         a whole explanation: forward, backward, map
    ONNX Runtime    the forward pass alone
    PyTorch         the Grad-CAM recipe with hooks

The three take turns: in each round each does some runs while the others wait. Medians over all runs, and
the 10th and 90th percentile. The same run checks that gradcam's map is PyTorch's and that ONNX Runtime
computes the network PyTorch does. With --bfloat16, gradcam's convolutions round their operands, which may
change the map by 0.05 of its largest value. Then, cold: one process from start to end for ResNet-50, its time and
its peak memory; and the bytes of program and libraries each had loaded.

With --batches, pictures a second at each number of pictures: gradcam explains so many tensors, several at
once, each on one thread (one alone has all threads); ONNX Runtime runs them through the network as one
batch. They take turns, a batch of each size in each round.

Needs Debian's python3-torch, python3-torchvision, python3-onnx, nodejs and npm.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS = os.path.join(ROOT, "bench", "peers")
sys.path.insert(0, PEERS)
import networks  # noqa: E402

ONNXRUNTIME = "onnxruntime-node@1.30.0"
SIDE = 224
MOST_ROUNDED = 0.05  # of maps in [0,1], in bfloat16
PAUSE = 0.2  # seconds until the threads of whoever was measured no longer spin in wait for work


# A process counts the peak of the one that forked it as its own: this small one forks, not ours.
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
_, status, usage = os.wait4(process, 0)
print(time.perf_counter() - start, usage.ru_maxrss * 1024)
sys.exit(status != 0)
"""


class Worker:
    """A process that answers a number of runs with their times."""

    def __init__(self, arguments, environment):
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{arguments[0]} did not get ready")
        self.times = []

    def run(self, count, is_warm_up=False):
        times = self.ask(f"{count}", count)
        if not is_warm_up:
            self.times += times

    def ask(self, question, count):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        times = [float(text) for text in self.process.stdout.readline().split()]
        if len(times) != count:
            raise RuntimeError(f"{self.process.args[0]} stopped")
        return times

    def loaded_bytes(self):
        """Of the program and the libraries that are mapped as code."""
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as maps:
            files = {line.split()[5] for line in maps if " r-xp " in line and "/" in line}
        return sum(os.path.getsize(path) for path in files)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def summary(self):
        low, high = np.percentile(self.times, (10, 90))
        return {"median": statistics.median(self.times), "p10": low, "p90": high}


class Bench:
    def __init__(self, options, is_rounded=False):
        self.options = options
        self.build = os.path.join(ROOT, "build")
        self.folder = os.path.join(self.build, "compare")
        self.rounded = ["--bfloat16"] if is_rounded else []
        threads = str(options.threads)
        self.environment = dict(os.environ, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads,
                                NODE_PATH=os.path.join(self.folder, "node_modules"))

    def build_all(self):
        if not os.path.exists(os.path.join(self.build, "build.ninja")):
            subprocess.run(["meson", "setup", self.build, ROOT, "-Dbuildtype=release"], check=True)
        subprocess.run(["meson", "compile", "-C", self.build], check=True, stdout=subprocess.DEVNULL)
        os.makedirs(self.folder, exist_ok=True)
        if not os.path.exists(os.path.join(self.folder, "node_modules", "onnxruntime-node")):
            # Its install script fetches GPU libraries; the one for CPUs is in the package.
            subprocess.run(["npm", "install", "--ignore-scripts", "--prefix", self.folder, ONNXRUNTIME], check=True)

    def prepare(self):
        self.build_all()
        values = np.random.default_rng(1).normal(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
        values.tofile(self.path("input.f32"))
        self.export(torch.from_numpy(values))

    def path(self, name):
        return os.path.join(self.folder, name)

    def export(self, x):
        """Each network for one picture; for batches, with a free number of pictures, too."""
        for name in self.options.networks:
            if not os.path.exists(self.path(name + ".onnx")):
                self.export_one(name, x, name + ".onnx")
            if self.options.batches and not os.path.exists(self.path(name + "-batch.onnx")):
                self.export_one(name, x, name + "-batch.onnx", input_names=["x"], output_names=["y"],
                                dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})

    def export_one(self, name, x, file, **options):
        model, _ = networks.make(name, self.folder)
        torch.onnx.export(model, x, self.path(name + ".part"), opset_version=13, **options)
        os.rename(self.path(name + ".part"), self.path(file))

    def commands(self, name):
        threads = str(self.options.threads)
        given, model = self.path("input.f32"), self.path(name + ".onnx")
        return {
            "gradcam": [os.path.join(self.build, "bench", "bench_explain"), *self.rounded, model, given,
                        self.path("gradcam.f32"), threads],
            "onnxruntime": ["node", os.path.join(PEERS, "onnxruntime.js"), model, given,
                            self.path("onnxruntime.f32"), threads],
            "pytorch": [sys.executable, os.path.join(PEERS, "pytorch.py"), name, given, self.path("pytorch.f32"),
                        threads],
        }

    def warm(self, name):
        workers = {who: Worker(command, self.environment) for who, command in self.commands(name).items()}
        for worker in workers.values():
            worker.run(5, is_warm_up=True)
        for _ in range(self.options.rounds):
            for worker in workers.values():
                time.sleep(PAUSE)
                worker.run(1, is_warm_up=True)  # caches are the others' by now
                worker.run(self.options.runs)
        row = {who: worker.summary() for who, worker in workers.items()}
        for who, worker in workers.items():
            row[who]["loaded_bytes"] = worker.loaded_bytes()
            worker.close()
        row["map_difference"] = self.difference("gradcam.f32", "pytorch.f32", is_map=True)
        row["logit_difference"] = self.difference("onnxruntime.f32", "pytorch.f32.logits")
        return row

    def batches(self, name):
        """Pictures a second of both, for each batch."""
        threads, given = str(self.options.threads), self.path("input.f32")
        workers = {
            "gradcam": Worker([os.path.join(self.build, "bench", "bench_batch"), self.path(name + ".onnx"), given,
                               threads], self.environment),
            "onnxruntime": Worker(["node", os.path.join(PEERS, "onnxruntime.js"), self.path(name + "-batch.onnx"),
                                   given, self.path("onnxruntime.f32"), threads], self.environment),
        }
        row = {who: {batch: [] for batch in self.options.batches} for who in workers}
        for turn in range(self.options.rounds + 1):
            for batch in self.options.batches:
                for who, worker in workers.items():
                    time.sleep(PAUSE)
                    times = worker.ask(f"{batch} 3", 3)  # in the first, caches are the other's
                    if turn > 0:
                        row[who][batch] += [1000 * batch / ms for ms in times[1:]]
        for worker in workers.values():
            worker.close()
        return {who: {batch: statistics.median(rates) for batch, rates in table.items()}
                for who, table in row.items()}

    def difference(self, one, other, is_map=False):
        """The largest, as a share of the largest value; of maps, after ReLU and normalisation."""
        a, b = (np.fromfile(self.path(name), np.float32).astype(np.float64) for name in (one, other))
        if is_map:
            a, b = (np.maximum(values, 0) / max(values.max(), 1e-30) for values in (a, b))
        return float(np.abs(a - b).max() / np.abs(b).max())

    def cold(self, arguments):
        """Medians of five processes, the first not counted: seconds and peak bytes."""
        runs = []
        for _ in range(6):
            answer = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCHER, *arguments], check=True,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                    env=self.environment).stdout
            runs.append([float(text) for text in answer.split()[-2:]])
        seconds, peak = (statistics.median(values) for values in zip(*runs[1:]))
        return {"seconds": seconds, "peak_bytes": peak}

    def cold_runs(self, name="resnet50"):
        picture = self.path("picture.png")
        pixels = np.random.default_rng(2).integers(0, 256, (7, 7, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((500, 400), Image.Resampling.BICUBIC).save(picture)
        tool = os.path.join(self.build, "src", "cli", "gradcam")
        return {
            "gradcam": self.cold([tool, "explain", self.path(name + ".onnx"), picture, "-q", *self.rounded,
                                  "-o", self.path("overlay.png")]),
            "pytorch": self.cold(self.commands(name)["pytorch"]),
        }


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0]}, {os.cpu_count()} logical processors" if names else f"{os.cpu_count()} logical processors"


def print_row(name, row):
    ours, forward, recipe = (row[who]["median"] for who in ("gradcam", "onnxruntime", "pytorch"))
    cells = [f"{row[who]['median']:.1f} ({row[who]['p10']:.1f}-{row[who]['p90']:.1f})"
             for who in ("gradcam", "onnxruntime", "pytorch")]
    print(f"| {name} | {' | '.join(cells)} | {ours / forward:.2f} | {ours / recipe:.3f} "
          f"| {row['map_difference']:.0e} |", flush=True)


def compare_batches(bench):
    batches = bench.options.batches
    print(f"{machine()}; {bench.options.threads} threads; pictures a second, median\n")
    print(f"| network | who | {' | '.join(f'batch {batch}' for batch in batches)} | best of ONNX Runtime's |")
    print("|---|---|" + "---|" * (len(batches) + 1))
    rows = {}
    for name in bench.options.networks:
        row = rows[name] = bench.batches(name)
        best = max(row["onnxruntime"].values())
        for who, what in (("gradcam", "gradcam, explanations"), ("onnxruntime", "ONNX Runtime, forward")):
            cells = [f"{rate:.1f} ({rate / best:.2f})" for rate in row[who].values()]
            print(f"| {name} | {what} | {' | '.join(cells)} | {best:.1f} |", flush=True)
    return {"machine": machine(), "threads": bench.options.threads, "batches": rows}


def write_report(path, report):
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=list(networks.LAYERS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5, help="of each in a round")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--bfloat16", action="store_true", help="gradcam explains in bfloat16")
    parser.add_argument("--json", help="a file for all figures")
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")], default=[],
                        help="numbers of pictures, such as 1,8,16,32: compare throughput instead")
    options = parser.parse_args()
    if options.batches and options.bfloat16:
        parser.error("--batches compares in float32: leave --bfloat16 out")
    bench = Bench(options, options.bfloat16)
    bench.prepare()
    if options.batches:
        write_report(options.json, compare_batches(bench))
        return
    kind = "gradcam in bfloat16; " if options.bfloat16 else ""
    print(f"{machine()}; {options.threads} threads; {kind}ms, median (10th-90th percentile)\n")
    print("| network | gradcam, explanation | ONNX Runtime, forward | PyTorch, recipe | of ONNX Runtime | of PyTorch "
          "| map differs by |\n|---|---|---|---|---|---|---|")
    rows = {}
    for name in options.networks:
        rows[name] = bench.warm(name)
        print_row(name, rows[name])
    ratios = [row["gradcam"]["median"] / row["onnxruntime"]["median"] for row in rows.values()]
    print(f"\nGeometric mean of the ratio to ONNX Runtime: {statistics.geometric_mean(ratios):.2f}")
    report = {"machine": machine(), "threads": options.threads, "bfloat16": options.bfloat16, "warm": rows}
    if "resnet50" in rows:
        report["cold"] = bench.cold_runs()
        for who, run in report["cold"].items():
            print(f"Cold, ResNet-50, {who}: {run['seconds']:.2f} s, {run['peak_bytes'] / 1e6:.0f} MB at the peak, "
                  f"{rows['resnet50'][who]['loaded_bytes'] / 1e6:.0f} MB of program and libraries")
    write_report(options.json, report)
    most = MOST_ROUNDED if options.bfloat16 else 1e-3
    wrong = [name for name, row in rows.items() if row["map_difference"] > most or row["logit_difference"] > 1e-3]
    if wrong:
        sys.exit(f"not the same result as PyTorch's: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
