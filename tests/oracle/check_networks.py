#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whole networks against PyTorch: logits, gradient at the layer, Grad-CAM map.

Exports one network of each torchvision family with random weights, runs the engine on it and
compares with autograd on the same weights. Tolerances: logits 1e-3 of the largest, gradient 1e-4 of
the largest, normalised map 1e-3 and correlation 0.99999.

  check_networks.py PLAN_TOOL [NAME ...] [--opset N]
"""
import argparse
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

from onnx_torch import Network

warnings.filterwarnings("ignore")


def pooled(model, a, head):
    return head(torch.flatten(F.adaptive_avg_pool2d(a, 1), 1))


def resnet(m):
    def features(x):
        x = m.maxpool(m.relu(m.bn1(m.conv1(x))))
        return m.layer4(m.layer3(m.layer2(m.layer1(x))))
    return features, lambda a: pooled(m, a, m.fc)


def with_features(m):
    return m.features, lambda a: m.classifier(torch.flatten(m.avgpool(a), 1))


def mobilenet_v2(m):
    return m.features, lambda a: pooled(m, a, m.classifier)


def densenet(m):
    return lambda x: torch.relu(m.features(x)), lambda a: pooled(m, a, m.classifier)


def squeezenet(m):
    return (lambda x: torch.relu(m.classifier[1](m.features(x))),
            lambda a: torch.flatten(F.adaptive_avg_pool2d(a, 1), 1))


def shufflenet(m):
    def features(x):
        x = m.maxpool(m.conv1(x))
        return m.conv5(m.stage4(m.stage3(m.stage2(x))))
    return features, lambda a: m.fc(a.mean([2, 3]))


def googlenet(m):
    def features(x):
        x = m.maxpool2(m.conv3(m.conv2(m.maxpool1(m.conv1(x)))))
        x = m.maxpool3(m.inception3b(m.inception3a(x)))
        for name in "abcde":
            x = getattr(m, "inception4" + name)(x)
        return m.inception5b(m.inception5a(m.maxpool4(x)))
    return features, lambda a: pooled(m, a, m.fc)


def inception(m):
    names = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1",
             "Conv2d_4a_3x3", "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a",
             "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c"]

    def features(x):
        for name in names:
            x = getattr(m, name)(x)
        return x
    return features, lambda a: pooled(m, a, m.fc)


def mnasnet(m):
    return m.layers, lambda a: m.classifier(a.mean([2, 3]))


def regnet(m):
    return lambda x: m.trunk_output(m.stem(x)), lambda a: pooled(m, a, m.fc)


def convnext(m):
    return m.features, lambda a: m.classifier(F.adaptive_avg_pool2d(a, 1))


# name: (split into features and head, input size)
NETWORKS = {
    "alexnet": (with_features, 224),
    "vgg11_bn": (with_features, 224),
    "resnet18": (resnet, 224),
    "resnet50": (resnet, 224),
    "resnext50_32x4d": (resnet, 224),
    "densenet121": (densenet, 224),
    "squeezenet1_1": (squeezenet, 224),
    "mobilenet_v2": (mobilenet_v2, 224),
    "mobilenet_v3_small": (with_features, 224),
    "efficientnet_b0": (with_features, 224),
    "efficientnet_v2_s": (with_features, 224),
    "shufflenet_v2_x1_0": (shufflenet, 224),
    "googlenet": (googlenet, 224),
    "inception_v3": (inception, 299),
    "mnasnet0_5": (mnasnet, 224),
    "regnet_y_400mf": (regnet, 224),
    "convnext_tiny": (convnext, 224),
    "vgg16": (with_features, 224),
}
DEFAULT = [n for n in NETWORKS if n not in ("vgg16",)]


def build(name):
    torch.manual_seed(sum(map(ord, name)))
    make = getattr(torchvision.models, name)
    options = {"weights": None}
    if name in ("googlenet", "inception_v3"):
        options.update(aux_logits=False, init_weights=False)
    model = make(**options).eval()
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(m.weight, 0.5, 1.5)
            torch.nn.init.normal_(m.bias, 0, 0.1)
        if hasattr(m, "layer_scale"):  # 1e-6 would hide whole branches
            torch.nn.init.uniform_(m.layer_scale, 0.1, 0.5)
    return model


def expected(name, model, x):
    features, head = NETWORKS[name][0](model)
    with torch.no_grad():
        activation = features(x)
    activation = activation.detach().requires_grad_(True)
    logits = head(activation)
    index = int(logits.argmax())
    logits[0, index].backward()
    gradient = activation.grad[0].double().numpy()
    weights = gradient.mean(axis=(1, 2))
    raw = (weights[:, None, None] * activation.detach()[0].double().numpy()).sum(0)
    whole = model(x)
    whole = whole if isinstance(whole, torch.Tensor) else whole[0]
    assert torch.allclose(whole, logits, rtol=1e-4, atol=1e-5), "the split differs from the network"
    return logits.detach()[0].numpy(), index, gradient, raw


def normalise(raw):
    positive = np.maximum(raw, 0)
    return positive / positive.max() if positive.max() > 0 else positive


def read(prefix, what, shape):
    return np.fromfile(f"{prefix}.{what}.f32", np.float32).reshape(shape)


def export(model, x, path, opset):
    torch.onnx.export(model, x, path, opset_version=opset, input_names=["input"],
                      output_names=["logits"], dynamic_axes={"input": {0: "batch"}})


def torch_gradient(path, x, index, name, dtype):
    network = Network(path, dtype)
    values = network.run(x.to(dtype), name)
    gradient, = torch.autograd.grad(values[network.output].flatten()[index], values[name])
    return gradient.double().numpy()


def difference(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def layer_difference(tool, path, prefix, x, index, layer):
    """Largest difference of the gradient at another layer from that of the ONNX file run with
    PyTorch operators, and the name of the layer's tensor."""
    x.numpy().tofile(prefix + ".input.f32")
    dims = "x".join(map(str, x.shape))
    done = subprocess.run([tool, path, prefix + ".input.f32", dims, str(layer), str(index), prefix],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    words = done.stdout.split()
    name = words[words.index("output") + 1]
    gradient = torch_gradient(path, x, index, name, torch.float32)
    return difference(read(prefix, "gradient", gradient.shape), gradient), name


def check_layer(tool, path, prefix, size, index, layer):
    """With millions of ReLUs and maxima behind a layer, one of them may be so near its kink that
    rounding decides on which side it is, and then the gradients of two correct programs differ. That
    depends on the input, while a mistake does not: one of four inputs must agree, unless for each
    PyTorch in float32 disagrees with itself in float64 as well."""
    is_judged = False
    for attempt in range(4):
        generator = torch.Generator().manual_seed(100 + attempt)
        x = torch.randn(1, 3, size, size, generator=generator)
        found, name = layer_difference(tool, path, prefix, x, index, layer)
        if found <= 1e-4:
            return True, f"{found:.1e} (input {attempt + 1})"
        single, double = (torch_gradient(path, x, index, name, t)
                          for t in (torch.float32, torch.float64))
        is_judged |= difference(single, double) <= 1e-4
    if is_judged:
        return False, f"{found:.1e}"
    return True, "not judged: PyTorch's float32 and float64 disagree"


def check(tool, name, opset, folder):
    model = build(name)
    size = NETWORKS[name][1]
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(7))
    logits, index, gradient, raw = expected(name, model, x)
    path = os.path.join(folder, name + ".onnx")
    prefix = os.path.join(folder, name)
    export(model, x, path, opset)
    x.numpy().tofile(prefix + ".input.f32")
    command = [tool, path, prefix + ".input.f32", f"1x3x{size}x{size}", "-", "-1", prefix]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return False, done.stderr.strip()
    found = read(prefix, "logits", logits.shape)
    d_logits = np.abs(found - logits).max() / np.abs(logits).max()
    if int(found.argmax()) != index:
        return False, f"top-1 {int(found.argmax())}, expected {index}"
    if os.path.getsize(f"{prefix}.gradient.f32") != gradient.size * 4:
        return False, f"another layer was chosen: {done.stdout.strip()}, expected {gradient.shape}"
    d_gradient = (np.abs(read(prefix, "gradient", gradient.shape) - gradient).max()
                  / np.abs(gradient).max())
    ours, theirs = normalise(read(prefix, "map", raw.shape)), normalise(raw)
    d_map = np.abs(ours - theirs).max()
    correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] if theirs.std() > 0 else 1.0
    good = d_logits <= 1e-3 and d_gradient <= 1e-4 and d_map <= 1e-3 and correlation >= 0.99999
    text = (f"logits {d_logits:.1e} gradient {d_gradient:.1e} map {d_map:.1e} "
            f"correlation {correlation:.7f}")
    words = done.stdout.split()
    layer = int(int(words[words.index("candidates") + 1]) * 0.7)
    good_layer, inner = check_layer(tool, path, prefix, size, index, layer)
    os.remove(path)
    good = good and good_layer
    text += f"  gradient at layer {layer}: {inner}"
    return good, text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--opset", type=int, default=13)
    options = parser.parse_args()
    torch.set_num_threads(2)
    failed = 0
    names = options.names or DEFAULT
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            good, text = check(options.tool, name, options.opset, folder)
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {name:22} {text}", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
