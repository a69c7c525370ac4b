# SPDX-License-Identifier: Apache-2.0
"""Conv and ConvTranspose."""

import torch
import torch.nn.functional as F

from op_case import case, failure, normal
from windows import pad, resolve_pads

CONVS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def conv(name, x, w, bias=True, fed=False, opset=17, drop_kernel=False, **attrs):
    spatial = len(x) - 2
    kernel = list(w[2:])

    def forward(x, w, b=None):
        padded = pad(x, resolve_pads(attrs, x.shape[2:], kernel))
        return CONVS[spatial](padded, w, b, attrs.get("strides", 1), 0,
                              attrs.get("dilations", 1), attrs.get("group", 1))

    inputs = {"x": normal(name + "x", *x), "w": normal(name + "w", *w)}
    if bias:
        inputs["b"] = normal(name + "b", w[0])
    given = dict(attrs) if drop_kernel else dict(attrs, kernel_shape=kernel)
    return case(name, "Conv", inputs, forward, attrs=given, opset=opset, grads=["x"],
                constants=() if fed else [k for k in inputs if k != "x"])


def convs():
    yield conv("conv_2d", (2, 3, 5, 6), (4, 3, 3, 3))
    yield conv("conv_fed_weights", (1, 2, 4, 4), (3, 2, 3, 3), fed=True)
    yield conv("conv_no_kernel_attribute", (1, 2, 4, 4), (3, 2, 3, 2), drop_kernel=True)
    yield conv("conv_no_bias", (1, 2, 4, 4), (3, 2, 2, 2), bias=False)
    yield conv("conv_pads", (2, 2, 5, 6), (3, 2, 3, 3), pads=[1, 1, 1, 1])
    yield conv("conv_stride", (1, 2, 7, 8), (3, 2, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    yield conv("conv_stride_over_kernel", (1, 3, 5, 7), (2, 3, 1, 1), strides=[2, 3])
    yield conv("conv_pointwise", (2, 5, 3, 4), (6, 5, 1, 1))
    yield conv("conv_dilation", (1, 2, 8, 7), (2, 2, 3, 2), dilations=[2, 3], pads=[2, 1, 2, 1])
    yield conv("conv_asymmetric", (1, 2, 5, 4), (2, 2, 3, 3), pads=[0, 1, 2, 3], strides=[2, 1])
    yield conv("conv_oblong", (1, 2, 4, 9), (2, 2, 1, 7), pads=[0, 3, 0, 3])
    yield conv("conv_groups", (2, 6, 4, 4), (4, 3, 3, 3), group=2, pads=[1, 1, 1, 1])
    yield conv("conv_depthwise", (2, 4, 5, 5), (4, 1, 3, 3), group=4, pads=[1, 1, 1, 1])
    yield conv("conv_depthwise_stride", (1, 3, 6, 6), (3, 1, 3, 3), group=3, strides=[2, 2],
               pads=[0, 0, 1, 1])
    yield conv("conv_depthwise_multiplier", (1, 3, 4, 4), (6, 1, 2, 2), group=3)
    yield conv("conv_kernel_of_input", (2, 3, 4, 4), (5, 3, 4, 4))
    yield conv("conv_far_pads", (1, 1, 2, 2), (1, 1, 2, 2), pads=[3, 4, 5, 3], strides=[2, 3])
    yield conv("conv_1d", (2, 3, 9), (4, 3, 3), pads=[1, 2], strides=[2])
    yield conv("conv_1d_dilation", (1, 2, 10), (2, 2, 3), dilations=[3])
    yield conv("conv_3d", (1, 2, 4, 4, 5), (3, 2, 3, 2, 3), pads=[1, 0, 1, 1, 1, 0],
               strides=[1, 2, 2])
    yield conv("conv_3d_depthwise", (1, 2, 3, 4, 4), (2, 1, 2, 3, 3), group=2,
               dilations=[1, 1, 1], pads=[0, 1, 1, 0, 1, 1])
    yield conv("conv_opset1", (1, 2, 4, 4), (2, 2, 3, 3), opset=7, pads=[1, 1, 1, 1])
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"):
        yield conv(f"conv_auto_{auto.lower()}", (1, 2, 6, 7), (2, 2, 4, 3), auto_pad=auto,
                   strides=[2, 2])
        yield conv(f"conv_auto_{auto.lower()}_dilation", (1, 2, 8, 9), (2, 2, 3, 2),
                   auto_pad=auto, dilations=[2, 3])
    yield conv("conv_auto_same_1d", (1, 2, 6), (2, 2, 2), auto_pad="SAME_UPPER")
    yield conv("conv_auto_same_3d", (1, 1, 3, 4, 5), (2, 1, 2, 3, 2), auto_pad="SAME_LOWER",
               strides=[1, 2, 3])


def transposed_pads(attrs, extents, kernel, spatial):
    """Output extents and the begin pads, straight from ONNX's formulas."""
    strides = attrs.get("strides", [1] * spatial)
    dilations = attrs.get("dilations", [1] * spatial)
    extra = attrs.get("output_padding", [0] * spatial)
    auto = attrs.get("auto_pad", "NOTSET")
    pads = attrs.get("pads", [0] * (2 * spatial)) if auto == "NOTSET" else [0] * (2 * spatial)
    outs, begins = [], []
    for a, n in enumerate(extents):
        full = strides[a] * (n - 1) + extra[a] + (kernel[a] - 1) * dilations[a] + 1
        wanted = attrs["output_shape"][a] if "output_shape" in attrs else \
            n * strides[a] if auto.startswith("SAME") else None
        if wanted is None:
            outs.append(full - pads[a] - pads[spatial + a])
            begins.append(pads[a])
        else:
            total = max(0, full - wanted)
            outs.append(wanted)
            begins.append(total // 2 if auto == "SAME_UPPER" else total - total // 2)
    return outs, begins


def transpose(name, x, w, bias=True, **attrs):
    spatial = len(x) - 2

    def forward(x, w, b=None):
        full = TRANSPOSED[spatial](x, w, None, attrs.get("strides", 1), 0, 0,
                                   attrs.get("group", 1), attrs.get("dilations", 1))
        outs, begins = transposed_pads(attrs, x.shape[2:], w.shape[2:], spatial)
        # cut the begin, then cut or fill up the end
        full = pad(full, [(-begin, out + begin - n) for out, begin, n in
                          zip(outs, begins, full.shape[2:])])
        return full if b is None else full + b.reshape([1, -1] + [1] * spatial)

    inputs = {"x": normal(name + "x", *x), "w": normal(name + "w", *w)}
    if bias:
        inputs["b"] = normal(name + "b", w[1] * attrs.get("group", 1))
    return case(name, "ConvTranspose", inputs, forward, attrs=attrs, grads=["x"],
                constants=[k for k in inputs if k != "x"])


def transposes():
    yield transpose("conv_transpose", (2, 3, 4, 3), (3, 2, 3, 3))
    yield transpose("conv_transpose_stride", (1, 3, 4, 3), (3, 2, 4, 4), strides=[2, 2],
                    pads=[1, 1, 1, 1])
    yield transpose("conv_transpose_no_bias", (1, 2, 3, 3), (2, 2, 2, 2), bias=False,
                    strides=[2, 2])
    yield transpose("conv_transpose_output_padding", (1, 2, 3, 4), (2, 2, 3, 3), strides=[2, 3],
                    pads=[1, 1, 1, 1], output_padding=[1, 2])
    yield transpose("conv_transpose_asymmetric", (1, 2, 4, 4), (2, 2, 3, 3), strides=[2, 1],
                    pads=[0, 1, 2, 0])
    yield transpose("conv_transpose_dilation", (1, 2, 4, 3), (2, 2, 2, 3), dilations=[3, 2],
                    pads=[1, 0, 1, 0])
    yield transpose("conv_transpose_groups", (2, 4, 3, 3), (4, 3, 2, 2), group=2, strides=[2, 2])
    yield transpose("conv_transpose_depthwise", (1, 3, 4, 4), (3, 1, 3, 3), group=3,
                    strides=[2, 2], pads=[1, 1, 1, 1])
    yield transpose("conv_transpose_output_shape", (1, 2, 3, 3), (2, 2, 3, 3), strides=[3, 2],
                    output_shape=[8, 6])
    yield transpose("conv_transpose_output_shape_large", (1, 2, 3, 3), (2, 2, 3, 3),
                    strides=[3, 2], output_shape=[10, 8])
    for auto in ("SAME_UPPER", "SAME_LOWER"):
        yield transpose(f"conv_transpose_{auto.lower()}", (1, 2, 3, 4), (2, 2, 4, 3),
                        strides=[1, 2], auto_pad=auto)
        yield transpose(f"conv_transpose_{auto.lower()}_shape", (1, 2, 3, 3), (2, 2, 3, 3),
                        strides=[3, 2], output_shape=[8, 6], auto_pad=auto)
    yield transpose("conv_transpose_kernel_shape", (1, 2, 3, 3), (2, 2, 3, 2), kernel_shape=[3, 2])
    yield transpose("conv_transpose_valid", (1, 2, 3, 3), (2, 2, 3, 2), auto_pad="VALID")
    yield transpose("conv_transpose_1d", (2, 2, 5), (2, 3, 3), strides=[2], pads=[1, 0])
    yield transpose("conv_transpose_3d", (1, 2, 3, 2, 3), (2, 2, 2, 3, 2), strides=[1, 2, 2],
                    pads=[0, 1, 0, 1, 0, 1])


def refused():
    x = normal("convx", 1, 4, 5, 5)

    def conv_failure(name, w, status, x=x, b=None, op="Conv", **attrs):
        inputs = {"x": x, "w": normal("convw", *w)}
        if b is not None:
            inputs["b"] = normal("convb", *b)
        return failure(name, op, inputs, status, attrs=attrs, constants=[k for k in inputs
                                                                        if k != "x"])

    yield conv_failure("conv_bad_channels", (2, 3, 3, 3), "SHAPE")
    yield conv_failure("conv_bad_group", (3, 2, 3, 3), "MODEL", group=2)
    yield conv_failure("conv_zero_group", (2, 4, 3, 3), "MODEL", group=0)
    yield conv_failure("conv_bad_bias", (2, 4, 3, 3), "MODEL", b=(3,))
    yield conv_failure("conv_bad_kernel_shape", (2, 4, 3, 3), "MODEL", kernel_shape=[3, 2])
    yield conv_failure("conv_zero_stride", (2, 4, 3, 3), "MODEL", strides=[0, 1])
    yield conv_failure("conv_negative_pads", (2, 4, 3, 3), "MODEL", pads=[0, 0, -1, 0])
    yield conv_failure("conv_short_pads", (2, 4, 3, 3), "MODEL", pads=[1, 1])
    yield conv_failure("conv_large_kernel", (2, 4, 6, 3), "SHAPE")
    yield conv_failure("conv_huge_dilation", (2, 4, 3, 3), "SHAPE", dilations=[2**31 - 1, 1])
    yield conv_failure("conv_overflow", (2, 4, 3, 3), "MODEL", dilations=[2**62, 1])
    yield conv_failure("conv_bad_auto_pad", (2, 4, 3, 3), "MODEL", auto_pad="SAME")
    yield conv_failure("conv_rank", (2, 4, 3), "SHAPE")
    yield conv_failure("conv_4d", (2, 4, 1, 1, 1, 1), "UNSUPPORTED",
                       x=normal("conv4d", 1, 4, 2, 2, 2, 2))
    yield conv_failure("conv_transpose_bad_channels", (3, 2, 3, 3), "SHAPE", op="ConvTranspose")
    yield conv_failure("conv_transpose_cut_away", (4, 2, 3, 3), "SHAPE", op="ConvTranspose",
                       pads=[4, 4, 4, 4])


def cases():
    yield from convs()
    yield from transposes()
    yield from refused()
