# SPDX-License-Identifier: Apache-2.0
"""PyTorch as an oracle: import torch from here where convolutions are run.

oneDNN 3.7, with which Debian 13's PyTorch computes, dies of a division by zero where it prepares the
backward pass of convolutions with groups of a few channels (seen with ResNeXt), and gives wrong
values for some layouts (https://github.com/uxlfoundation/oneDNN/issues/3280). Then PyTorch's own
kernels are used, which are slower.
"""
import re

import torch

if re.search(r"DNN v3\.7\.", torch.__config__.show()):
    torch.backends.mkldnn.set_flags(False)

__all__ = ["torch"]
