# SPDX-License-Identifier: Apache-2.0
"""The networks that bench/compare.py measures: torchvision's, with random weights of a fixed seed."""
import os

import torch
import torchvision
from torch.nn import functional

# Network: its last convolutional stage.
LAYERS = {
    "resnet50": "layer4", "resnet18": "layer4", "vgg16": "features", "densenet121": "features",
    "mobilenet_v2": "features", "efficientnet_b0": "features", "squeezenet1_1": "classifier.2",
}


def make(name, folder):
    """The network, ready to be evaluated, and its target layer. Its weights are kept in `folder`."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None).eval()
    if name == "densenet121":
        # Its last ReLU is no module, and nothing can be hooked: make it one.
        model.features.add_module("relu", torch.nn.ReLU())
        model.forward = lambda x: model.classifier(
            functional.adaptive_avg_pool2d(model.features(x), 1).flatten(1))
    weights = os.path.join(folder, name + ".pt")
    if os.path.exists(weights):
        model.load_state_dict(torch.load(weights))
    else:
        torch.save(model.state_dict(), weights)
    return model, model.get_submodule(LAYERS[name])
