# SPDX-License-Identifier: Apache-2.0
"""What PyTorch lacks of ONNX's windows: asymmetric pads and auto_pad, as plain numbers."""

import torch.nn.functional as F


def per_axis(value, spatial):
    return [value] * spatial if isinstance(value, int) else list(value)


def resolve_pads(attrs, extents, kernel):
    """(begin, end) of every axis from pads or auto_pad."""
    spatial = len(extents)
    auto = attrs.get("auto_pad", "NOTSET")
    pads = attrs.get("pads", [0] * (2 * spatial))
    if auto == "VALID":
        return [(0, 0)] * spatial
    if auto == "NOTSET":
        return list(zip(pads[:spatial], pads[spatial:]))
    strides = attrs.get("strides", [1] * spatial)
    dilations = attrs.get("dilations", [1] * spatial)
    result = []
    for extent, k, s, d in zip(extents, kernel, strides, dilations):
        out = -(-extent // s)
        total = max(0, (out - 1) * s + (k - 1) * d + 1 - extent)
        small, large = total // 2, total - total // 2
        result.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return result


def pad(x, pads, value=0.0):
    """F.pad wants the last axis first."""
    flat = [p for pair in reversed(pads) for p in pair]
    return F.pad(x, flat, value=value) if any(flat) else x
