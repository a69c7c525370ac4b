# SPDX-License-Identifier: Apache-2.0
"""Trains the bundled model from nothing and writes emoji.onnx, config.json, preprocessor_config.json.

    python3 models/emoji/train.py --plain --out stage1                      plain scenes, from nothing
    python3 models/emoji/train.py --start stage1/emoji.onnx                 varied scenes, from there
    ... [--steps N] [--rate R] [--threads N] [--bfloat16]

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
import onnx.numpy_helper
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
    """Scenes of the training, each with a soft target and the classes of the 14x14 cells."""

    def __init__(self, count, is_varied):
        self.scenes, self.count = Scenes("train", is_varied), count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        picture, labels, _, mask = self.scenes.scene(index)
        target = np.zeros(len(LABELS), np.float32)
        target[labels] = 1 / len(labels)
        cells = np.full((14, 14), len(LABELS), np.int64)
        for label in labels:
            part = (mask == label).reshape(14, 16, 14, 16).mean((1, 3))
            # Cells that hold a little of a thing are judged as neither.
            cells[(part > 0.1) & (cells == len(LABELS))] = -100
            cells[part > 0.4] = label
        return picture, target, cells


def start_from(network, path):
    """The weights of an exported model, whose BatchNorms are folded: ours begin as the identity."""
    model = onnx.load(path)
    values = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
              for tensor in model.graph.initializer}
    nodes = iter([node for node in model.graph.node if node.op_type == "Conv"])
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            node = next(nodes)
            if values[node.input[1]].shape != module.weight.shape:
                raise ValueError(f"{path}: {name} has another shape than {node.input[1]}")
            module.weight.data.copy_(values[node.input[1]])
        elif isinstance(module, nn.BatchNorm2d):
            module.bias.data.copy_(values[node.input[2]])
            module.running_var.fill_(1 - module.eps)
    network.classifier.weight.data.copy_(values["classifier.weight"])
    network.classifier.bias.data.copy_(values["classifier.bias"])


def settle(network, scenes):
    """BatchNorm normalises by each batch while training: let its scale and shift undo that at first."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = {norm: norm.bias.data.clone() for norm in norms}

    def measure(norm, inputs):
        x = inputs[0]
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.copy_(kept[norm] + mean)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
    handles = [norm.register_forward_pre_hook(measure) for norm in norms]
    with torch.no_grad():
        network.eval()(normalized(torch.from_numpy(np.stack([scenes.scene(10**9 + i)[0] for i in range(128)]))))
    for handle in handles:
        handle.remove()
    network.train()


def train(options):
    torch.manual_seed(1)
    network = Network()
    if options.start:
        start_from(network, options.start)
        settle(network, Scenes("train", not options.plain))
    network = network.to(memory_format=torch.channels_last)
    # Says for each cell what lies there: guides the features while training and is not exported.
    cell_head = nn.Conv2d(128, len(LABELS) + 1, 1)
    parameters = list(network.parameters()) + list(cell_head.parameters())
    print(sum(p.numel() for p in network.parameters()), "parameters", flush=True)
    optimizer = torch.optim.AdamW(parameters, options.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, options.steps, pct_start=0.2)
    loader = torch.utils.data.DataLoader(Stream(options.steps * BATCH, not options.plain), BATCH, num_workers=1, prefetch_factor=6)
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
    return network.eval()


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
    parser.add_argument("--plain", action="store_true", help="plain scenes instead of varied ones")
    parser.add_argument("--start", help="an exported model to go on from")
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--rate", type=float, default=6e-3, help="the highest learning rate")
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor has it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = train(options).to(memory_format=torch.contiguous_format)
    export(network, options.out)
    evaluate(network)


if __name__ == "__main__":
    main()
