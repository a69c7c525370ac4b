# SPDX-License-Identifier: Apache-2.0
"""Trains the bundled model from nothing and writes emoji.onnx, config.json, preprocessor_config.json.

    python3 models/emoji/train.py [--steps N M] [--rates R S] [--threads N] [--bfloat16] [--out FOLDER]

In two phases, the second with a lower rate and with variants that the first has not seen.

Needs Debian's python3-torch, python3-onnx, python3-pil, python3-skimage, fonts-noto-color-emoji,
plasma-workspace-wallpapers, mate-backgrounds and gnome-backgrounds. Then it reports the accuracy on
scenes whose glyphs, backgrounds and positions were not in the training; check.py measures the rest.
"""
import argparse
import ctypes
import json
import os
import time

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

from scenes import LABELS, SIZE, Scenes

# Memory that goes back to the system for every tensor, to be mapped afresh for the next, costs more
# than the arithmetic: keep it (mallopt's M_MMAP_MAX and M_TRIM_THRESHOLD of glibc's malloc.h).
ctypes.CDLL(None).mallopt(-4, 0)
ctypes.CDLL(None).mallopt(-1, 2**31 - 1)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 64


def conv(inputs, outputs, kernel=3, stride=1, groups=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions (He et al., 2016)."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)

    def forward(self, x):
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class Inverted(nn.Module):
    """Expand, depthwise, project (Sandler et al., 2018), with a ReLU behind the sum."""

    def __init__(self, width, expanded):
        super().__init__()
        self.expand = conv(width, expanded, 1)
        self.depthwise = conv(expanded, expanded, 5, groups=expanded)
        self.project = conv(expanded, width, 1)

    def forward(self, x):
        y = functional.relu(self.depthwise(functional.relu(self.expand(x))))
        return functional.relu(x + self.project(y))


class Network(nn.Module):
    """224x224 to a last stage of 128x14x14, global average pooling, one linear layer."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 16, stride=2), nn.ReLU(), conv(16, 32, stride=2), nn.ReLU(),
            conv(32, 64, stride=2), nn.ReLU(), Residual(64), conv(64, 128, stride=2), nn.ReLU(),
            Inverted(128, 320), Inverted(128, 320), Inverted(128, 320))
        self.classifier = nn.Linear(128, len(LABELS))

    def forward(self, x):
        return self.classifier(functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


def normalized(pictures):
    x = pictures.permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(MEAN)[None, :, None, None]) / torch.tensor(STD)[None, :, None, None]


class Stream(torch.utils.data.Dataset):
    """Scenes of a phase of the training, each with a soft target and the classes of the 14x14 cells."""

    def __init__(self, phase, count):
        self.scenes, self.count, self.first = Scenes("train", phase), count, (phase - 1) * 10**7

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        picture, labels, _, mask = self.scenes.scene(self.first + index)
        target = np.zeros(len(LABELS), np.float32)
        target[labels] = 1 / len(labels)
        cells = np.full((14, 14), len(LABELS), np.int64)
        for label in labels:
            part = (mask == label).reshape(14, 16, 14, 16).mean((1, 3))
            # Cells that hold a little of a thing are judged as neither.
            cells[(part > 0.1) & (cells == len(LABELS))] = -100
            cells[part > 0.4] = label
        return picture, target, cells


def train(network, phase, options):
    steps, rate = options.steps[phase - 1], options.rates[phase - 1]
    # Says for each cell what lies there: guides the features while training and is not exported.
    cell_head = nn.Conv2d(128, len(LABELS) + 1, 1)
    parameters = list(network.parameters()) + list(cell_head.parameters())
    print("phase", phase, flush=True)
    optimizer = torch.optim.AdamW(parameters, rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.2)
    loader = torch.utils.data.DataLoader(Stream(phase, steps * BATCH), BATCH, num_workers=1, prefetch_factor=6)
    started = time.time()
    for step, (pictures, targets, cells) in enumerate(loader):
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
            features = network.features(normalized(pictures).contiguous(memory_format=torch.channels_last))
        features = features.float()
        logits = network.classifier(features.mean((2, 3)))
        loss = functional.cross_entropy(logits, targets)
        guide = functional.cross_entropy(cell_head(features), cells, ignore_index=-100)
        optimizer.zero_grad()
        (loss + guide).backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            hits = targets.gather(1, logits.argmax(1, keepdim=True)).gt(0).float().mean()
            print(f"step {step}: loss {loss:.3f}, cells {guide:.3f}, top-1 {hits:.3f}, {time.time() - started:.0f} s",
                  flush=True)
    torch.save(network.state_dict(), os.path.join(options.out, f"phase{phase}.pt"))


def evaluate(network, count=1000):
    """Top-1 on scenes of one thing; both in the top 2 on scenes of two."""
    scenes = Scenes("test")
    single = double = 0
    with torch.no_grad():
        for index in range(count):
            for things in (1, 2):
                picture, labels, _, _ = scenes.scene(index, things)
                top = network(normalized(torch.from_numpy(picture)[None]))[0].topk(things).indices.tolist()
                single += things == 1 and top == labels
                double += things == 2 and set(top) == set(labels)
    print(f"held out: top-1 {single / count:.3f} (one thing), both in the top 2 {double / count:.3f} (two things)")


def export(network, folder):
    path = os.path.join(folder, "emoji.onnx")
    torch.onnx.export(network, torch.zeros(1, 3, SIZE, SIZE), path, opset_version=13, input_names=["input"],
                      output_names=["logits"], dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})
    model = onnx.load(path)
    preprocessing = {"do_resize": True, "size": {"height": SIZE, "width": SIZE}, "resample": 2,
                     "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
                     "image_mean": list(MEAN), "image_std": list(STD)}
    for key, value in (("labels", "\n".join(LABELS)), ("preprocessor_config", json.dumps(preprocessing))):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, path)
    for name, content in (("config.json", {"id2label": {str(i): name for i, name in enumerate(LABELS)}}),
                          ("preprocessor_config.json", preprocessing)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, nargs=2, default=(8500, 1800), help="of the two phases")
    parser.add_argument("--rates", type=float, nargs=2, default=(6e-3, 2e-3), help="their highest learning rates")
    parser.add_argument("--resume", help="phase1.pt of an earlier run: begin with the second phase")
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor has it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    network = Network().to(memory_format=torch.channels_last)
    print(sum(p.numel() for p in network.parameters()), "parameters", flush=True)
    if options.resume:
        network.load_state_dict(torch.load(options.resume))
    else:
        train(network, 1, options)
    train(network, 2, options)
    network = network.eval().to(memory_format=torch.contiguous_format)
    export(network, options.out)
    evaluate(network)


if __name__ == "__main__":
    main()
