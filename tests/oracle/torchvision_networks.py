# SPDX-License-Identifier: Apache-2.0
"""torchvision's networks with random weights, how each is fed and where its Grad-CAM looks."""
import re
import types

from pytorch import torch
import torchvision

KINDS = ["Classifiers", "Segmentation", "Video", "Backbones of detectors"]
MODELS = torchvision.models


def functions(module):
    """Names of the functions that make a network, in the order of the alphabet."""
    helpers = {"get_model", "get_model_builder", "get_model_weights", "get_weight", "list_models"}
    return sorted(n for n, f in vars(module).items()
                  if type(f).__name__ == "function" and n not in helpers)


MAKERS = {
    "Classifiers": MODELS, "Segmentation": MODELS.segmentation, "Video": MODELS.video,
    "Backbones of detectors": MODELS.detection,
}
KIND_OF = {n: kind for kind in KINDS for n in functions(MAKERS[kind])}
NAMES = list(KIND_OF)

# Where the map comes from if not from the input of the last pooling: a module and an end of it.
TARGETS = [
    (r"squeezenet", ("classifier.3", "in")),
    (r"maxvit", ("classifier.0", "in")),
    (r"vit_.*", ("encoder.layers.{last}.ln_1", "out")),
    (r"fcn_|deeplabv3_", ("network.classifier.4", "in")),
    (r"lraspp", ("network.classifier.high_classifier", "in")),
    (r"r3d|mc3|r2plus1d", ("avgpool", "in")),
    (r"s3d", ("avgpool", "in")),
    (r"mvit", ("blocks.{last}.norm1", "out")),
    (r"ssd300", ("network.features", "out")),
    (r"ssdlite", ("network.features.1", "out")),
    (r"fasterrcnn_mobilenet", ("network.body.16", "out")),
    (r".*rcnn_|retinanet|fcos", ("network.body.layer4", "out")),
]
# What the command line would say for the networks whose output is no list of classes.
LAYERS = [
    (r"ssd300", "features"), (r"ssdlite", "features.1"), (r"fasterrcnn_mobilenet", "body.16"),
    (r".*rcnn_|retinanet|fcos", "layer4"),
]
SIZES = [
    (r"inception", (1, 3, 299, 299)), (r"vit_h_14", (1, 3, 224, 224)),
    (r"swin_v2", (1, 3, 256, 256)), (r"fcn_|deeplabv3_|lraspp", (1, 3, 224, 224)),
    (r"s3d", (1, 3, 16, 224, 224)), (r"mvit", (1, 3, 16, 224, 224)),
    (r"r3d|mc3|r2plus1d", (1, 3, 8, 112, 112)), (r"ssd300", (1, 3, 300, 300)),
    (r"ssdlite|.*320_fpn", (1, 3, 320, 320)),
]


def first(rows, name, missing):
    return next((value for pattern, value in rows if re.match(pattern, name)), missing)


class Scores(torch.nn.Module):
    """All that a segmenter or a backbone gives, as one row of scores."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        result = self.network(x)
        if "out" in result:
            return result["out"]
        # The map that is explained: the third, to which the backbone's last layer leads.
        ends = torch.tensor([t.numel() for t in result.values()]).cumsum(0).tolist()
        self.span = (ends[1] if len(ends) > 1 else 0, ends[min(2, len(ends) - 1)])
        return torch.cat([t.flatten(1) for t in result.values()], 1)


def make(name):
    kind = KIND_OF[name]
    options = {"weights": None}
    if name in ("googlenet", "inception_v3"):
        options.update(aux_logits=False, init_weights=False)
    if kind in ("Segmentation", "Backbones of detectors"):
        options["weights_backbone"] = None
    model = getattr(MAKERS[kind], name)(**options)
    if kind == "Segmentation":
        return Scores(model)
    return Scores(model.backbone) if kind == "Backbones of detectors" else model


def initialise(model):
    """Statistics and scales as training leaves them, so that neither activations nor gradients
    vanish or hide whole branches."""
    for m in model.modules():
        if isinstance(m, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(m.weight, 0.5, 1.5)
            torch.nn.init.normal_(m.bias, 0, 0.1)
        if isinstance(m, torch.nn.LayerNorm):
            torch.nn.init.uniform_(m.weight, 0.5, 1.5)
            torch.nn.init.normal_(m.bias, 0, 0.1)
        if hasattr(m, "layer_scale"):
            torch.nn.init.uniform_(m.layer_scale, 0.1, 0.5)
        if isinstance(m, torch.nn.Linear) and not m.weight.any():
            torch.nn.init.normal_(m.weight, 0, 0.05)
        if isinstance(m, torch.nn.MultiheadAttention):
            m.training = True  # its fast path, which has no ONNX form; there is no dropout


def last_of(model, path):
    """"{last}" is the number of the last block."""
    if "{last}" not in path:
        return path
    parent, rest = path.split(".{last}")
    return f"{parent}.{list(model.get_submodule(parent)._modules)[-1]}{rest}"


def tokens_of(name, model, size):
    """(leading tokens that are no part of the picture, grid) or None."""
    if name.startswith("vit_"):
        side = size[2] // model.patch_size
        return 1, (side, side)
    if name.startswith("mvit"):
        return 1, (size[2] // 2, size[3] // 32, size[4] // 32)
    return None


def build(name):
    torch.manual_seed(sum(map(ord, name)))
    network = types.SimpleNamespace()
    network.kind, network.size = KIND_OF[name], first(SIZES, name, (1, 3, 224, 224))
    network.model = make(name).eval()
    initialise(network.model)
    target = first(TARGETS, name, None)
    network.target = target and (last_of(network.model, target[0]), target[1])
    network.layer = first(LAYERS, name, "-")
    network.tokens = tokens_of(name, network.model, network.size)
    return network


def export(network, x, path, opset):
    # zero_() on a slice has no ONNX form in this PyTorch, fill_() has.
    original = torch.Tensor.zero_
    torch.Tensor.zero_ = lambda self: self.fill_(0)
    try:
        torch.onnx.export(network.model, x, path, opset_version=opset, input_names=["input"],
                          output_names=["logits"], dynamic_axes={"input": {0: "batch"}})
    finally:
        torch.Tensor.zero_ = original
