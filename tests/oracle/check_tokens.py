#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Token models through the command line against PyTorch: small transformers as the usual libraries
build them. The layer that is expected is the normalisation that the last attention reads (or, where
all tokens are read, the last one), and its map is that of pytorch-grad-cam's reshape transform: the
extra tokens dropped, tokens to H x W, channels first.

  check_tokens.py GRADCAM
"""
import os
import sys
import tempfile
import warnings

import numpy as np
from pytorch import torch
from torch import nn

from command import explain, judge

warnings.filterwarnings("ignore")
WIDTH, HEADS, CLASSES = 24, 3, 7


class FusedAttention(nn.Module):
    """timm: queries, keys and values from one product."""

    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        n, count, width = x.shape
        q, k, v = self.qkv(x).reshape(n, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q @ k.transpose(-2, -1) * (width // HEADS) ** -0.5).softmax(-1)
        return self.proj((a @ v).transpose(1, 2).reshape(n, count, width))


class SeparateAttention(nn.Module):
    """Hugging Face: three products, each as wide as the stream of tokens."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x):
        n, count, width = x.shape
        q, k, v = (f(x).view(n, count, HEADS, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        a = (q @ k.transpose(-2, -1) / (width // HEADS) ** 0.5).softmax(-1)
        return self.proj((a @ v).transpose(1, 2).reshape(n, count, width))


class Block(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = attention()
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """`extra` tokens before those of the picture; `read`: "class", "both" (class and distillation
    tokens, two heads), "mean" of all tokens or "patches", the mean of the picture's."""

    def __init__(self, attention, extra, read, embed="conv"):
        super().__init__()
        self.extra, self.read, self.embed = extra, read, embed
        self.patch = nn.Conv2d(3, WIDTH, 8, 8) if embed == "conv" else nn.Linear(192, WIDTH)
        self.tokens = nn.Parameter(torch.randn(1, extra, WIDTH))
        self.blocks = nn.ModuleList(Block(attention) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)
        self.head2 = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        n, _, height, width = x.shape
        if self.embed == "conv":
            x = self.patch(x).flatten(2).transpose(1, 2)
        else:
            x = x.reshape(n, 3, height // 8, 8, width // 8, 8).permute(0, 2, 4, 1, 3, 5)
            x = self.patch(x.reshape(n, (height // 8) * (width // 8), 192))
        if self.extra:
            x = torch.cat([self.tokens.expand(n, -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if self.read == "both":
            return (self.head(x[:, 0]) + self.head2(x[:, 1])) / 2
        return self.head(x[:, 0] if self.read == "class" else
                         x[:, self.extra:].mean(1) if self.read == "patches" else x.mean(1))


class Windows(nn.Module):
    """Swin: channels last, attention within windows, half of the blocks shifted, tokens merged."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, 4)
        self.norm1, self.norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = FusedAttention()
        self.merge = nn.Linear(4 * WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def window(self, x, shift):
        y = torch.roll(self.norm1(x), (-shift, -shift), (1, 2))
        n, h, w, c = y.shape
        y = y.view(n, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        y = self.attention(y).view(n, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5)
        return x + torch.roll(y.reshape(n, h, w, c), (shift, shift), (1, 2))

    def forward(self, x):
        x = self.patch(x).permute(0, 2, 3, 1)
        x = self.window(self.window(x, 0), 2)
        x = torch.cat([x[:, a::2, b::2] for a in (0, 1) for b in (0, 1)], -1)
        x = self.window(self.merge(x), 0)
        x = self.norm(x).flatten(1, 2)
        return self.head(x.mean(1))


def vit(*args, **options):
    return lambda: Transformer(*args, **options)


LAST_NORM1, NORM = "blocks.1.norm1", "norm"
# name: (network, picture's size, expected layer, extra tokens, grid, options of the command line)
CASES = {
    "timm vit": (vit(FusedAttention, 1, "class"), (40, 40), LAST_NORM1, 1, (5, 5), []),
    "hf vit": (vit(SeparateAttention, 1, "class"), (40, 40), LAST_NORM1, 1, (5, 5), []),
    "deit": (vit(FusedAttention, 2, "both"), (40, 40), LAST_NORM1, 2, (5, 5), []),
    "registers": (vit(FusedAttention, 5, "class"), (40, 40), LAST_NORM1, 5, (5, 5), []),
    "not square": (vit(SeparateAttention, 1, "class"), (40, 64), LAST_NORM1, 1, (5, 8), []),
    "mean of all": (vit(FusedAttention, 1, "mean"), (40, 40), NORM, 1, (5, 5), []),
    "mean of patches": (vit(FusedAttention, 1, "patches"), (40, 40), NORM, 1, (5, 5), []),
    "no extra": (vit(FusedAttention, 0, "mean"), (40, 40), NORM, 0, (5, 5), []),
    "unfolded": (vit(FusedAttention, 1, "class", "linear"), (40, 40), LAST_NORM1, 1, (5, 5), []),
    "unfolded, told": (vit(FusedAttention, 1, "class", "linear"), (40, 64), LAST_NORM1, 1, (5, 8),
                       ["--tokens", "5x8+1"]),
    "told otherwise": (vit(FusedAttention, 1, "class"), (32, 64), LAST_NORM1, 1, (8, 4),
                       ["--tokens", "8x4+1"]),
    "windows": (Windows, (32, 32), NORM, 0, (4, 4), []),
}
# What has to be refused, and what the message has to say.
REFUSED = {
    "unfolded, not square": (vit(FusedAttention, 1, "class", "linear"), (40, 64), [],
                             "41 tokens"),
    "wrong number": (vit(FusedAttention, 1, "class"), (40, 40), ["--tokens", "4x4+1"],
                     "tokens 4x4+1"),
    "not a grid": (vit(FusedAttention, 1, "class"), (40, 40), ["--tokens", "5by5"], "5by5"),
}


def expected(model, x, path, extra, grid):
    kept = []

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)
    handle = model.get_submodule(path).register_forward_hook(keep)
    scores = model(x)[0]
    handle.remove()
    scores[scores.argmax()].backward()
    a, g = (t[0].reshape(-1, WIDTH).double().numpy()[extra:].T
            for t in (kept[-1].detach(), kept[-1].grad))
    return (g.mean(1) @ a).reshape(grid), scores.detach().numpy()


def check(tool, case, opset):
    make, size, layer, extra, grid, options = case
    torch.manual_seed(5)
    model, x = make().eval(), torch.randn(1, 3, *size)
    raw, scores = expected(model, x, layer, extra, grid)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.onnx")
        torch.onnx.export(model, x, path, opset_version=opset,
                          dynamic_axes={"input": {0: "batch"}}, input_names=["input"])
        done, report, found = explain(tool, folder, path, x.numpy(), options)
        if report is None:
            return False, done.stderr.strip()
        return judge(report, found, scores, raw)


def check_refused(tool, case):
    make, size, options, text = case
    model, x = make().eval(), torch.randn(1, 3, *size)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.onnx")
        torch.onnx.export(model, x, path, opset_version=13)
        done, _, _ = explain(tool, folder, path, x.numpy(), options)
    return done.returncode in (2, 8) and text in done.stderr, done.stderr.strip()[-300:]


def main():
    tool, failed = sys.argv[1], 0
    for name, case in CASES.items():
        for opset in (13, 17):
            good, text = check(tool, case, opset)
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {name:18} {opset} {text}", flush=True)
    for name, case in REFUSED.items():
        good, text = check_refused(tool, case)
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} refused: {name}: {text}", flush=True)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
