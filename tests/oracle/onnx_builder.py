# SPDX-License-Identifier: Apache-2.0
"""What the networks of fixtures are put together from."""
import numpy as np
from onnx import numpy_helper


class Constants:
    """Constants with names that count up, and random weights of a scale that keeps activations alike."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []

    def constant(self, array, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def draw(self, *shape):
        fan = max(int(np.prod(shape[1:])), 1)
        return self.random.normal(0, 1.5 / np.sqrt(fan), shape)
