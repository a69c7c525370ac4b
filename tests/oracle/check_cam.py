#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every method against PyTorch: native maps within 1e-3 of their largest value and with a
correlation of 0.99999, on networks of several families, two layers, two classes.

 - small seeded networks that this file makes: residual, dense, depthwise with squeeze-and-excitation,
   and torchvision's ResNet-18 and MobileNetV2 with random weights;
 - where a rectifier's input cannot be told from its kink in float32, on the side that ours took;
 - properties that hold exactly, whatever the oracle says;
 - with SHARED, pytorch-grad-cam's stored maps of a pretrained network in SHARED/golden alone (skipped
   where absent).

  check_cam.py GRADCAM [NETWORK ...]
  check_cam.py GRADCAM --golden SHARED
"""
import json
import os
import sys
import tempfile
import warnings

import numpy as np
import torch
import torchvision
from torch import nn

import cam_methods as oracle
from cam_methods import View
from cam_tool import Tool, compare, conclude, differences, export, report, settle

warnings.filterwarnings("ignore")
SEED = 5


# ---- Networks -----------------------------------------------------------------------------------

def conv_bn(i, o, stride=1, groups=1, kernel=3):
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(o))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 12), nn.ReLU())
        self.a, self.b = conv_bn(12, 12), conv_bn(12, 16, 2)
        self.skip = conv_bn(12, 16, 2, kernel=1)
        self.c = conv_bn(16, 16, 2)
        self.fc = nn.Linear(16, 6)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(self.a(x) + x)
        x = torch.relu(self.b(x) + self.skip(x))
        x = torch.relu(self.c(x))
        return self.fc(x.mean((2, 3)))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.one, self.two = nn.Conv2d(8, 6, 3, 1, 1), nn.Conv2d(14, 6, 3, 1, 1)
        self.mix = nn.Conv2d(20, 18, 1)
        self.head = nn.Sequential(nn.Linear(18 * 16, 12), nn.ReLU(), nn.Linear(12, 6))

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.cat([x, torch.relu(self.one(x))], 1)
        x = torch.cat([x, torch.relu(self.two(x))], 1)
        x = nn.functional.avg_pool2d(torch.relu(self.mix(x)), 2)
        x = nn.functional.max_pool2d(x, 2)
        return self.head(torch.flatten(x, 1))


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 12, 2), nn.Hardswish())
        self.grow = nn.Sequential(conv_bn(12, 24, kernel=1), nn.SiLU())
        self.depth = nn.Sequential(conv_bn(24, 24, 2, 24), nn.SiLU())
        self.squeeze, self.excite = nn.Conv2d(24, 6, 1), nn.Conv2d(6, 24, 1)
        self.shrink = conv_bn(24, 16, kernel=1)
        self.last = nn.Sequential(conv_bn(16, 20, kernel=1), nn.ReLU6())
        self.fc = nn.Linear(20, 6)

    def forward(self, x):
        x = self.depth(self.grow(self.stem(x)))
        s = x.mean((2, 3), keepdim=True)
        x = x * torch.sigmoid(self.excite(torch.relu(self.squeeze(s))))
        x = self.last(self.shrink(x))
        return self.fc(x.mean((2, 3)))


def large(make, seed):
    """Logits of a few units, as trained networks have them: with hundreds, all probabilities but
    one are nothing."""
    model = settle(make(weights=None), seed)
    list(model.modules())[-1].weight.data *= 0.02
    return model


# name: (module, input size)
NETWORKS = {
    "residual": (lambda: settle(Residual(), 1), 32),
    "dense": (lambda: settle(Dense(), 2), 32),
    "depthwise": (lambda: settle(Depthwise(), 3), 32),
    "resnet18": (lambda: large(torchvision.models.resnet18, 4), 64),
    "mobilenet_v2": (lambda: large(torchvision.models.mobilenet_v2, 6), 64),
}
LARGE = {"resnet18", "mobilenet_v2"}
# Sums of input gradients at several points: in a network of many ReLU6 some of a point's hundred thousand
# values lie nearer a kink than float32 can tell, and each that falls on the other side changes the sum.
# Single points agree with PyTorch to 1e-6 once those values are on the same side.
NOT_DETERMINED = {"mobilenet_v2": ("smoothgrad:", "integratedgradients:")}


# ---- Methods ------------------------------------------------------------------------------------

def logit(index):
    return lambda outputs: outputs[0].flatten()[index]


def methods(index, is_small):
    """Text for --method: what the oracle says of it."""
    o = oracle
    every = {
        "gradcam": o.gradcam, "hirescam": o.hirescam, "elementwise": o.elementwise,
        "gradcam++": o.gradcampp, "gradcam++:torchcam": lambda v: o.gradcampp(v, True),
        "xgradcam": o.xgradcam, "layercam": o.layercam, "eigencam": o.eigencam,
        "eigengradcam": o.eigengradcam, "segeigencam": o.segeigencam, "fem": o.fem,
        "random": o.random_weights, "finercam": lambda v: o.finercam(v, index),
        "kpcacam": o.kpcacam,
        "scorecam:channels=6": lambda v: o.scorecam(v, channels=6),
        "smoothgradcam++:samples=4,sigma=0.1": lambda v: o.smoothgradcampp(v, 4, 0.1),
        "sscam:samples=2,sigma=2,channels=3": lambda v: o.sscam(v, 2, 2.0, 3),
        "iscam:samples=3,channels=4": lambda v: o.iscam(v, 3, 4),
        "recipro": o.recipro,
    }
    pixels = {
        "fullgrad": o.fullgrad, "saliency": o.saliency, "inputxgradient": o.inputxgradient,
        "guidedbackprop": o.guidedbackprop, "guidedgradcam": o.guidedgradcam,
        "smoothgrad:samples=3,sigma=0.1": lambda v: o.smoothgrad(v, 3, 0.1),
        "integratedgradients:steps=10": lambda v: o.integratedgradients(v, 10),
    }
    if not is_small:
        pixels["occlusion:window=24,stride=20,value=0.5"] = lambda v: o.occlusion(v, 24, 20, 0.5)
        pixels["rise:samples=4,cells=5,p=0.4"] = lambda v: o.rise(v, 4, 5, 0.4)
    else:
        pixels["occlusion:window=9,stride=5,value=0.5"] = lambda v: o.occlusion(v, 9, 5, 0.5)
        pixels["rise:samples=12,cells=5,p=0.4"] = lambda v: o.rise(v, 12, 5, 0.4)
        every.update({
            "scorecam": lambda v: o.scorecam(v),
            "scorecam:torchcam": lambda v: o.scorecam(v, torchcam=True),
            "iscam:samples=3,linear,channels=4": lambda v: o.iscam(v, 3, 4, True),
            "ablationcam": o.ablationcam, "ablationcam:zero": lambda v: o.ablationcam(v, True),
            "recipro:gaussian": lambda v: o.recipro(v, True),
            "shapleycam": o.shapleycam,
        })
    return every, pixels


# Their denominators are sums of terms of both signs, and can come so near zero that gradients in
# float32 give other maps, whoever computes them.
CANCELLING = {"gradcam++:torchcam", "smoothgradcam++:samples=4,sigma=0.1"}


def tolerance_of(method, definition, view, wanted):
    """1e-3, or what gradients that are wrong by 1e-6 of themselves do to the map."""
    if method not in CANCELLING:
        return 1e-3
    random, exact = np.random.default_rng(1), view.gradient

    def disturbed(x=None):
        a, g = exact(x)
        return a, g * (1 + 1e-6 * torch.as_tensor(random.normal(size=g.shape)))

    view.gradient = disturbed
    change = np.abs(definition(view) - wanted).max() / np.abs(wanted).max()
    view.gradient = exact
    return max(1e-3, 2 * change)


def on_our_side(view, definition, ours, wanted, tolerance):
    """(map, number of values crossed): the definition's map, in which rectifiers' inputs that float32
    cannot tell from the kink may lie on either side, as the sides that are nearest to ours.

    At such a value the gradient of two correct programs differs by as much as that value's whole
    contribution, so no tolerance fits; on the right sides the maps agree as all others do."""
    def distance(crossed):
        view.crossed = frozenset(crossed)
        return float(np.linalg.norm(definition(view) - ours))

    chosen, nearest = [], float(np.linalg.norm(wanted - ours))
    alone = sorted((distance([k]), k) for k in view.kinks())
    for kink in [k for d, k in alone if d < nearest]:
        found = distance(chosen + [kink])
        if found < nearest:
            chosen, nearest = chosen + [kink], found
            wanted = definition(view)
        if differences(ours, wanted)[0] <= tolerance:
            break
    view.crossed = frozenset()
    return wanted, len(chosen)


def check_eigenvector(ours, view, text):
    """Far apart positions saturate tanh, and then the largest eigenvalue is that of a whole space:
    every vector of it, of the right length, is the map by definition."""
    kernel, m = oracle.tanh_kernel(view), ours.ravel().astype(float)
    largest = np.linalg.eigvalsh(kernel)[-1]
    off = np.linalg.norm(kernel @ m - largest * m) / (largest * np.linalg.norm(m))
    length = np.linalg.norm(m) / np.sqrt(largest)
    report(off <= 1e-3 and abs(length - 1) <= 1e-3,
           f"{text}: undetermined (equal eigenvalues); an eigenvector within {off:.1e}")


def is_undetermined(method, view):
    if method != "kpcacam":
        return False
    values = np.linalg.eigvalsh(oracle.tanh_kernel(view))
    return values[-1] - values[-2] <= 1e-6 * values[-1]


def check_method(ours, view, method, definition, text):
    if is_undetermined(method, view):
        check_eigenvector(ours, view, text)
        return
    view.inputs_seen = {}
    wanted = definition(view)
    tolerance = tolerance_of(method, definition, view, wanted)
    if differences(ours, wanted)[0] > tolerance and view.inputs_seen:
        wanted, crossed = on_our_side(view, definition, ours, wanted, tolerance)
        text += f" ({crossed} values at kinks on the other side)"
    compare(ours, wanted, text, tolerance)


def check_methods(tool, name, path, x, layer, index):
    every, pixels = methods(index, name not in LARGE)
    view = View(path, x, layer["output"], logit(index), SEED)
    if name == "dense" or view.a.shape[2] * view.a.shape[3] > 1024:
        every = {k: f for k, f in every.items() if not k.startswith("recipro")}
    if view.a.shape[2] * view.a.shape[3] > 1024:
        every.pop("kpcacam")
    left_out = [m for m in pixels if m.startswith(NOT_DETERMINED.get(name, ("none",)))]
    if left_out:
        print(f"not compared on {name}: {', '.join(left_out)}: float32 does not determine them")
    every.update((m, f) for m, f in pixels.items() if m not in left_out)
    options = [w for m in every for w in ("--method", m)]
    found = tool.maps(path, x, "--layer", str(layer["index"]), "--class", str(index), "--seed",
                      str(SEED), *options)
    for (entry, ours), (method, definition) in zip(found, every.items()):
        assert entry["method"] == method
        check_method(ours, view, method, definition, f"{name} {layer['name']} {index} {method}")
    for part, (entry, ours) in enumerate(tool.maps(
            path, x, "--layer", str(layer["index"]), "--seed", str(SEED), "--method",
            "dff:concepts=3,iterations=20")):
        compare(ours, oracle.dff(view, part, 3, 20), f"{name} {layer['name']} dff {part}")


def softmax_targets(index, other):
    z = lambda outputs: outputs[0][0]
    return {
        f"prob:{index}": lambda o: z(o).softmax(0)[index],
        f"logprob:{index}": lambda o: z(o).log_softmax(0)[index],
        f"rest:{index}": lambda o: z(o)[index] + z(o).log_softmax(0)[index],
        f"diff:{index},{other}": lambda o: z(o)[index] - z(o)[other],
        f"up:{index}": lambda o: z(o)[index], f"down:{index}": lambda o: -z(o)[index],
        f"[0,{index}]": lambda o: z(o)[index], "[0,1:4]": lambda o: z(o)[1:4].sum(),
        "logits[0,0+3+5]": lambda o: z(o)[[0, 3, 5]].sum(), "[0,-1]": lambda o: z(o)[-1],
    }


def check_targets(tool, name, path, x, layer):
    targets = softmax_targets(2, 4)
    options = [w for t in targets for w in ("--target", t)]
    for method, wanted in (("gradcam", oracle.gradcam), ("shapleycam", oracle.shapleycam),
                           ("scorecam:channels=4", lambda v: oracle.scorecam(v, channels=4))):
        found = tool.maps(path, x, "--layer", str(layer["index"]), "--method", method, *options)
        for (entry, ours), (target, score) in zip(found, targets.items()):
            view = View(path, x, layer["output"], score)
            compare(ours, wanted(view), f"{name} {layer['name']} {method} of {target}")
            report(abs(entry["score"] - view.s0) <= 1e-4 * max(1, abs(view.s0)),
                   f"{name} score of {target}: {entry['score']:.4g}")
    plain = tool.maps(path, x, "--class", "2")[0][1]
    turned = tool.maps(path, x, "--class", "2", "--counterfactual")[0][1]
    compare(turned, -plain, f"{name} counterfactual")


# ---- Fusion and smoothing -----------------------------------------------------------------------

def unit(m):
    return np.maximum(m, 0) / m.max() if m.max() > 0 else np.zeros_like(m)


def check_combined(tool, name, path, x, layers, index):
    shape = x.shape[2:]
    views = [View(path, x, layer["output"], logit(index), SEED) for layer in layers]
    single = [oracle.resize(unit(oracle.layercam(v)), shape) for v in views]
    fused = {"mean": np.mean(single, 0), "max": np.max(single, 0), "product": unit(np.prod(single, 0))}
    both = [w for layer in layers for w in ("--layer", str(layer["index"]))]
    for how, wanted in fused.items():
        found = tool.maps(path, x, *both, "--class", str(index), "--method", "layercam", "--fuse", how)
        report(len(found) == 1, f"{name} --fuse {how} makes one map")
        compare(found[0][1], wanted, f"{name} --fuse {how}")
    layer, first = layers[-1], views[-1]
    one = ["--layer", str(layer["index"]), "--class", str(index), "--seed", str(SEED)]
    wanted = 0
    for variant in range(6):
        seen = x if variant < 3 else x[..., ::-1].copy()
        m = unit(oracle.gradcam(View(path, seen * [0.9, 1.0, 1.1][variant % 3], layer["output"],
                                     logit(index))))
        wanted = wanted + (m if variant < 3 else m[:, ::-1]) / 6
    compare(tool.maps(path, x, *one, "--smooth", "augment")[0][1], wanted, f"{name} augmented")
    a, g = first.pair()
    wanted = oracle.project(g.mean((1, 2))[:, None, None] * a, a)
    compare(tool.maps(path, x, *one, "--smooth", "eigen")[0][1], wanted, f"{name} eigen smoothed")
    noisy = oracle.noisy(first, 3, 0.1)
    wanted = sum(oracle.gradcam(View(path, n, layer["output"], logit(index))) for n in noisy) / 3
    compare(tool.maps(path, x, *one, "--smooth", "noise=3", "--sigma", "0.1")[0][1], wanted,
            f"{name} noise tunnel")


# ---- What holds exactly -------------------------------------------------------------------------

def check_exact(tool, path, x, model):
    """The residual network: global pooling and one linear layer; nothing but rectifiers."""
    (_, plain), (_, cam), (_, shapley), (_, zero) = tool.maps(
        path, x, "--class", "3", "--method", "gradcam", "--method", "cam", "--method", "shapleycam",
        "--method", "ablationcam:zero")
    compare(cam, plain * plain.size, "CAM is Grad-CAM times the positions", 1e-5)
    compare(shapley, plain, "Shapley-CAM of a linear head is Grad-CAM", 1e-4)
    with torch.no_grad():
        logits = model.double()(torch.as_tensor(x).double())[0].numpy()
        black = model(torch.zeros(1, 3, *x.shape[2:]).double())[0].numpy()
        weights = model.fc.weight[3].numpy()
    view = View(path, x, tool.layers(path)[-1]["output"], logit(3))
    a = view.a[0].numpy()
    compare(cam, np.tensordot(weights, a, 1), "CAM takes the row of the linear layer", 1e-5)
    wanted = np.tensordot(weights * a.mean((1, 2)) / logits[3], a, 1)
    compare(zero, wanted, "ablating a channel of a linear head takes its share away", 1e-4)
    (_, ig), = tool.maps(path, x, "--class", "3", "--method", "integratedgradients:steps=2000")
    report(abs(ig.sum() - (logits[3] - black[3])) <= 5e-3 * abs(logits[3] - black[3]),
           f"integrated gradients add up: {ig.sum():.4f}, {logits[3] - black[3]:.4f}")
    (_, full), = tool.maps(path, x, "--class", "3", "--method", "fullgrad:complete")
    report(abs(full.sum(dtype=float) - logits[3]) <= 1e-4 * np.abs(logits).max(),
           f"full gradients add up to the logit: {full.sum(dtype=float):.5f}, {logits[3]:.5f}")


# ---- pytorch-grad-cam's own maps ----------------------------------------------------------------

GOLDEN = {"GradCAM": "gradcam", "HiResCAM": "hirescam", "GradCAMElementWise": "elementwise",
          "GradCAMPlusPlus": "gradcam++", "XGradCAM": "xgradcam", "EigenCAM": "eigencam",
          "EigenGradCAM": "eigengradcam", "LayerCAM": "layercam", "KPCA_CAM": "kpcacam",
          "FEM": "fem", "SegEigenCAM": "segeigencam", "FinerCAM": "finercam",
          "FullGrad": "fullgrad", "ScoreCAM": "scorecam", "ShapleyCAM": "shapleycam"}
SIGNLESS = {"EigenCAM", "EigenGradCAM", "SegEigenCAM", "KPCA_CAM"}


def pgc_pipeline(raw):
    """Rectify, bring to [0, 1], resize with OpenCV, and once more."""
    import cv2
    m = np.maximum(raw, 0)
    m = (m - m.min()) / (1e-7 + (m - m.min()).max())
    m = cv2.resize(m.astype(np.float32), (224, 224))
    return (m - m.min()) / (1e-7 + (m - m.min()).max())


def check_stored_ablation(tool, model, x, name, stored):
    """If this fails, the stored maps have been made again: compare ours with them."""
    layer, = [entry for entry in tool.layers(model) if entry["name"] == name]
    a = View(model, x, layer["output"], logit(0)).a[0].numpy()
    largest = min(np.abs(pgc_pipeline(sign * a.sum(0)) - stored).max() for sign in (1, -1))
    report(largest <= 1e-3, f"golden AblationCAM at {name} has equal weights, so it says nothing")


def check_golden(tool, shared):
    golden = os.path.join(shared, "golden")
    with open(os.path.join(golden, "index.json")) as file:
        index = json.load(file)
    model = os.path.join(shared, "models", index["model"])
    groups = {}
    for case in index["cases"]:
        groups.setdefault((case["picture"], case["class"], case["layer"]), []).append(case)
    for (picture, category, layer), cases in groups.items():
        # The stored AblationCAM maps are those of equal weights for all channels: the ablated layer
        # was not part of the network that gave the scores. check_stored_ablation says so.
        ablation = [c for c in cases if c["method"] == "AblationCAM"]
        cases = [c for c in cases if c["method"] in GOLDEN]
        x = np.load(os.path.join(golden, os.path.splitext(picture)[0] + ".input.npy"))
        options = [w for c in cases for w in ("--method", GOLDEN[c["method"]])]
        found = tool.maps(model, x, "--layer", index["layers"][layer], "--class", str(category),
                          *options)
        for case, (entry, ours) in zip(cases, found):
            raw = "raw" in case
            wanted = np.load(os.path.join(golden, case["raw" if raw else "map224"]))
            if not raw:
                ours = pgc_pipeline(ours)
            elif case["method"] in SIGNLESS and (ours * wanted).sum() < 0:
                wanted = -wanted
            compare(ours, wanted, f"golden {picture} {category} {layer} {case['method']}")
        for case in ablation:
            check_stored_ablation(tool, model, x, index["layers"][layer],
                                  np.load(os.path.join(golden, case["map224"])))


# ---- All ----------------------------------------------------------------------------------------

def pick_layers(layers):
    """The default one, and one in the middle with at most 16 x 16 positions."""
    last, = [x for x in layers if x["target"]]
    middle = [x for x in layers if x["index"] < last["index"] and x["operator"] in ("Relu", "Add", "Mul")
              and 1 < x["shape"][2] <= 16 and x["shape"][2] != last["shape"][2]]
    return [middle[len(middle) // 2] if middle else layers[last["index"] // 2], last]


def check_network(tool, name):
    make, size = NETWORKS[name]
    model, path = make(), os.path.join(tool.folder, name + ".onnx")
    export(model, size, path)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(8)).numpy()
    layers = pick_layers(tool.layers(path))
    best = int(model(torch.as_tensor(x))[0].detach().numpy().argmax())
    for layer in layers:
        for index in (best, (best + 1) % 6):
            check_methods(tool, name, path, x, layer, index)
    if name not in LARGE:
        check_targets(tool, name, path, x, layers[0])
        check_combined(tool, name, path, x, layers, best)
    if name == "residual":
        check_exact(tool, path, x, model)


def main():
    gradcam, rest = sys.argv[1], sys.argv[2:]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(gradcam, folder)
        if rest[:1] != ["--golden"]:
            for name in rest or NETWORKS:
                check_network(tool, name)
        elif os.path.isdir(os.path.join(rest[1], "golden")):
            check_golden(tool, rest[1])
        else:
            print(f"skipped: pytorch-grad-cam's maps, {rest[1]}/golden is not there")
            return 77
    return conclude()


if __name__ == "__main__":
    sys.exit(main())
