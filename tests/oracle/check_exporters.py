#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Small models written the way each exporter writes them, through the command line against PyTorch.

Every model is: picture, a convolution, what the exporter is known for, "features" (the layer that is
explained), a head. PyTorch computes the same with its own operators.

  check_exporters.py GRADCAM [NAME...]
"""
import os
import sys
import tempfile
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from command import explain, judge

warnings.filterwarnings("ignore")
CLASSES, HEIGHT, WIDTH = 5, 16, 20


class Model:
    """A graph that grows, and the weights that both sides use."""

    def __init__(self, opset=13, nhwc=False, ir=8, inputs_too=False, domains=()):
        self.opset, self.ir, self.inputs_too, self.domains = opset, ir, inputs_too, domains
        self.nhwc, self.nodes, self.weights, self.functions = nhwc, [], {}, []
        self.random = np.random.RandomState(3)
        self.x = self.random.randn(1, 3, HEIGHT, WIDTH).astype(np.float32)

    def weight(self, name, *shape, scale=0.4, positive=False):
        values = (self.random.randn(*shape) * scale).astype(np.float32)
        return self.constant(name, np.abs(values) + 0.1 if positive else values)

    def constant(self, name, values):
        self.weights[name] = np.asarray(values)
        return torch.from_numpy(np.array(self.weights[name]))

    def node(self, op, inputs, output, domain="", **attributes):
        outputs = output if isinstance(output, list) else [output]
        self.nodes.append(helper.make_node(op, inputs.split() if inputs else [], outputs,
                                           name=f"n_{outputs[0]}", domain=domain, **attributes))

    def save(self, path):
        shape = ["unk", HEIGHT, WIDTH, 3] if self.nhwc else ["N", 3, HEIGHT, WIDTH]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        tensors = [numpy_helper.from_array(v, k) for k, v in self.weights.items()]
        if self.inputs_too:
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
                       for t in tensors]
        graph = helper.make_graph(
            self.nodes, "g", inputs,
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)], tensors)
        imports = [helper.make_opsetid("", self.opset)]
        imports += [helper.make_opsetid(d, 1) for d in self.domains]
        model = helper.make_model(graph, opset_imports=imports, functions=self.functions)
        model.ir_version = self.ir
        with open(path, "wb") as file:
            file.write(model.SerializeToString())


def keep(m, y):
    y.retain_grad()
    m.kept = y
    return y


def linear(m, y, width=12):
    return y @ m.weight("fc", width, CLASSES) + m.weight("fcb", CLASSES)


# ---- Keras through tf2onnx ---------------------------------------------------------------------


def keras(m, x):
    """NHWC input, Transposes around each operator, auto_pad SAME, a Pad node, BiasAdd as an Add,
    mean over the inner extents, Softmax."""
    w1, b1 = m.weight("w1", 8, 3, 3, 3), m.weight("b1", 8)
    w2, b2 = m.weight("w2", 12, 8, 3, 3), m.weight("b2", 1, 12, 1, 1)
    m.constant("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    m.node("Transpose", "x", "t", perm=[0, 3, 1, 2])
    m.node("Pad", "t pads", "p")
    m.node("Conv", "p w1", "c1", strides=[2, 2], auto_pad="VALID")
    m.node("Transpose", "c1", "c1t", perm=[0, 2, 3, 1])
    m.node("Add", "c1t b1", "a1")
    m.node("Relu", "a1", "r1")
    m.node("Transpose", "r1", "r1t", perm=[0, 3, 1, 2])
    m.node("Conv", "r1t w2", "c2", strides=[2, 2], auto_pad="SAME_UPPER")
    m.node("Add", "c2 b2", "a2")
    m.node("Relu", "a2", "features")
    m.node("ReduceMean", "features", "mean", axes=[2, 3], keepdims=0)
    m.node("MatMul", "mean fc", "mm")
    m.node("Add", "mm fcb", "logits")
    m.node("Softmax", "logits", "scores", axis=-1)
    y = (F.conv2d(F.pad(x, (1, 1, 1, 1)), w1, stride=2) + b1[:, None, None]).relu()
    # SAME of 8 x 10 at stride 2 and 3 x 3: one row and column in all, at the end
    y = keep(m, (F.conv2d(F.pad(y, (0, 1, 0, 1)), w2, stride=2) + b2).relu())
    return linear(m, y.mean((2, 3)))


def keras_same_lower(m, x):
    """Depthwise convolution and pooling with SAME; the odd row at the start for SAME_LOWER."""
    w1, w2 = m.weight("w1", 12, 3, 3, 3), m.weight("w2", 12, 1, 3, 3)
    m.node("Transpose", "x", "t", perm=[0, 3, 1, 2])
    m.node("Conv", "t w1", "c1", strides=[2, 2], auto_pad="SAME_LOWER")
    m.node("Conv", "c1 w2", "c2", group=12, auto_pad="SAME_UPPER")
    m.node("MaxPool", "c2", "p", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    m.node("Relu", "p", "features")
    m.node("Transpose", "features", "ft", perm=[0, 2, 3, 1])
    m.node("ReduceMean", "ft", "mean", axes=[1, 2], keepdims=0)
    m.node("MatMul", "mean fc", "mm")
    m.node("Add", "mm fcb", "scores")
    y = F.conv2d(F.pad(x, (1, 0, 1, 0)), w1, stride=2)
    y = F.conv2d(y, w2, padding=1, groups=12)
    y = F.max_pool2d(F.pad(y, (0, 1, 0, 1), value=-1e30), 3, 2)
    return linear(m, keep(m, y.relu()).mean((2, 3)))


# ---- Old files ---------------------------------------------------------------------------------


def model_zoo(m, x):
    """Opset 7: initializers listed as inputs, old BatchNormalization, LRN, Upsample with an
    attribute, Dropout, Gemm, Softmax of four extents coerced to two."""
    w1, w2 = m.weight("w1", 8, 3, 3, 3), m.weight("w2", 12, 8, 1, 1)
    s, b, mu = m.weight("s", 8, positive=True), m.weight("b", 8), m.weight("mu", 8)
    var = m.weight("var", 8, positive=True)
    m.node("Conv", "x w1", "c1", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    m.node("BatchNormalization", "c1 s b mu var", "bn", epsilon=1e-3, momentum=0.9, spatial=1)
    m.node("Relu", "bn", "r1")
    m.node("LRN", "r1", "lrn", size=3, alpha=0.3, beta=0.75, bias=1.5)
    m.node("Upsample", "lrn", "up", mode="nearest", scales=[1.0, 1.0, 2.0, 2.0])
    m.node("Conv", "up w2", "c2", kernel_shape=[1, 1])
    m.node("Relu", "c2", "features")
    m.node("Dropout", "features", "d", ratio=0.5)
    m.node("GlobalAveragePool", "d", "gap")
    m.node("Flatten", "gap", "flat")
    m.node("Gemm", "flat fc fcb", "g", alpha=1.0, beta=1.0)
    m.constant("shape", np.array([1, CLASSES, 1, 1]))
    m.node("Reshape", "g shape", "g4")
    m.node("Softmax", "g4", "scores", axis=1)
    y = F.batch_norm(F.conv2d(x, w1, stride=2, padding=1), mu, var, s, b, eps=1e-3).relu()
    y = F.interpolate(F.local_response_norm(y, 3, 0.3, 0.75, 1.5), scale_factor=2)
    return linear(m, keep(m, F.conv2d(y, w2).relu()).mean((2, 3)))


def caffe2(m, x):
    """Opset 6: numbers for names, broadcast = 1 with an axis, is_test, Reshape with a tensor."""
    w1, b1 = m.weight("1", 12, 3, 3, 3), m.weight("2", 12)
    k, s, b = m.weight("3", 12), m.weight("4", 12, positive=True), m.weight("5", 12)
    mu, var = m.weight("6", 12), m.weight("7", 12, positive=True)
    m.node("Conv", "x 1 2", "20", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1],
           dilations=[1, 1], group=1)
    m.node("BatchNormalization", "20 4 5 6 7", "21", is_test=1, epsilon=1e-5)
    m.node("Mul", "21 3", "22", broadcast=1, axis=1)
    m.node("Relu", "22", "features")
    m.node("AveragePool", "features", "24", kernel_shape=[HEIGHT, WIDTH])
    m.constant("shape", np.array([1, -1]))
    m.node("Reshape", "24 shape", "25")
    m.node("Gemm", "25 fc fcb", "scores", broadcast=1)
    y = F.batch_norm(F.conv2d(x, w1, b1, padding=1), mu, var, s, b) * k[:, None, None]
    return linear(m, keep(m, y.relu()).mean((2, 3)))


def matlab(m, x):
    """The mean of the training pictures is subtracted first; Gemm with a transposed matrix."""
    mean, w1, b1 = m.weight("mean", 1, 3, HEIGHT, WIDTH), m.weight("w1", 12, 3, 3, 3), m.weight(
        "b1", 12)
    fc, fcb = m.weight("fc", CLASSES, 12), m.weight("fcb", CLASSES)
    m.node("Sub", "x mean", "centred")
    m.node("Conv", "centred w1 b1", "c1", pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3])
    m.node("Relu", "c1", "features")
    m.node("GlobalAveragePool", "features", "gap")
    m.node("Flatten", "gap", "flat", axis=1)
    m.node("Gemm", "flat fc fcb", "g", transB=1, alpha=1.0, beta=1.0)
    m.node("Softmax", "g", "scores", axis=1)
    y = keep(m, F.conv2d(x - mean, w1, b1, stride=2, padding=1).relu())
    return F.linear(y.mean((2, 3)), fc, fcb)


def paddle(m, x):
    """Constants as nodes, shapes computed in the graph, hard activations, Scale as Mul and Add."""
    w1, b1 = m.weight("w1", 12, 3, 3, 3), m.weight("b1", 12)
    w2 = m.weight("w2", 12, 12, 1, 1)

    def const(name, values):
        m.node("Constant", "", name, value=numpy_helper.from_array(np.asarray(values)))
    const("shape1", np.array([1, 12, 1, 1]))
    m.node("Conv", "x w1", "c1", pads=[1, 1, 1, 1], kernel_shape=[3, 3], dilations=[1, 1], group=1)
    m.node("Reshape", "b1 shape1", "b4")
    m.node("Add", "c1 b4", "c1b")
    const("one", np.array([2.0], np.float32))
    m.node("Mul", "c1b one", "scaled")
    m.node("GlobalAveragePool", "scaled", "squeeze")
    m.node("Conv", "squeeze w2", "se", kernel_shape=[1, 1])
    m.node("HardSigmoid", "se", "gate", alpha=0.2, beta=0.5)
    m.node("Mul", "scaled gate", "features")
    m.node("GlobalAveragePool", "features", "gap")
    m.node("Shape", "gap", "dims")
    const("zero", np.array([0]))
    const("ones", np.array([1]))
    const("minus", np.array([-1]))
    m.node("Slice", "dims zero ones", "first")
    m.node("Concat", "first minus", "flatshape", axis=0)
    m.node("Reshape", "gap flatshape", "flat")
    m.node("MatMul", "flat fc", "mm")
    m.node("Add", "mm fcb", "scores")
    y = 2 * F.conv2d(x, w1, b1, padding=1)
    gate = (F.conv2d(y.mean((2, 3), keepdim=True), w2) * 0.2 + 0.5).clamp(0, 1)
    return linear(m, keep(m, y * gate).mean((2, 3)))


# ---- ONNX Runtime's optimiser ------------------------------------------------------------------

MS = "com.microsoft"


def fused_conv(m, x):
    """FusedConv with each kind of activation, and with a sum; FusedGemm."""
    w1, b1 = m.weight("w1", 12, 3, 3, 3), m.weight("b1", 12)
    w2, b2, w3 = m.weight("w2", 12, 12, 3, 3, scale=0.1), m.weight("b2", 12), m.weight(
        "w3", 12, 12, 1, 1)
    g, gb = m.weight("g", 12, 12), m.weight("gb", 12)
    m.node("FusedConv", "x w1 b1", "c1", MS, pads=[1, 1, 1, 1], strides=[2, 2],
           activation="LeakyRelu", activation_params=[0.2])
    m.node("FusedConv", "c1 w2 b2 c1", "c2", MS, pads=[1, 1, 1, 1], activation="Relu")
    m.node("FusedConv", "c2 w3", "features", MS, activation="Clip", activation_params=[-1.0, 1.5])
    m.node("GlobalAveragePool", "features", "gap")
    m.node("Flatten", "gap", "flat")
    m.node("FusedGemm", "flat g gb", "h", MS, activation="LeakyRelu", activation_alpha=0.3)
    m.node("Gemm", "h fc fcb", "scores")
    y = F.leaky_relu(F.conv2d(x, w1, b1, stride=2, padding=1), 0.2)
    y = (F.conv2d(y, w2, b2, padding=1) + y).relu()
    y = keep(m, F.conv2d(y, w3).clamp(-1, 1.5))
    return linear(m, F.leaky_relu(y.mean((2, 3)) @ g + gb, 0.3))


def fused_transformer(m, x):
    """FusedMatMul, Gelu, BiasGelu, FastGelu, QuickGelu, SkipLayerNormalization, BiasAdd."""
    w1 = m.weight("w1", 12, 3, 4, 4)
    k, gb, q = m.weight("k", 12, 12), m.weight("gb", 12), m.weight("q", 12, 12)
    gamma, beta, bias = (m.weight(n, 12) for n in ("gamma", "beta", "bias"))
    m.node("Conv", "x w1", "features", strides=[4, 4], kernel_shape=[4, 4])
    m.constant("tokens", np.array([0, 12, -1]))
    m.node("Reshape", "features tokens", "ct")
    m.node("FusedMatMul", "ct q", "t", MS, transA=1)
    m.node("FusedMatMul", "t t", "gram", MS, transB=1, alpha=0.25)
    m.node("Softmax", "gram", "weights", axis=-1)
    m.node("MatMul", "weights t", "v")
    m.node("SkipLayerNormalization", "v t gamma beta bias", ["ln", "", "", "sum"], MS, epsilon=1e-5)
    m.node("BiasGelu", "ln gb", "g1", MS)
    m.node("Gelu", "g1", "g2", MS)
    m.node("FusedMatMul", "g2 k", "g3", MS, transB=1)
    m.node("FastGelu", "g3 gb", "g4", MS)
    m.node("QuickGelu", "g4", "g5", MS, alpha=1.5)
    m.node("BiasAdd", "g5 gb sum", "g6", MS)
    m.node("ReduceMean", "g6", "mean", axes=[1], keepdims=0)
    m.node("Gemm", "mean fc fcb", "scores")
    y = keep(m, F.conv2d(x, w1, stride=4))
    t = y.flatten(2).transpose(1, 2) @ q
    v = (t @ t.transpose(1, 2) * 0.25).softmax(-1) @ t
    s = v + t + bias
    g = F.gelu(F.gelu(F.layer_norm(s, (12,), gamma, beta, 1e-5) + gb)) @ k.T
    g = F.gelu(g + gb, approximate="tanh")
    g = g * torch.sigmoid(1.5 * g) + gb + s
    return linear(m, g.mean(1))


# ---- PyTorch's newer exporter ------------------------------------------------------------------


def dynamo(m, x):
    """Functions in the model, ReduceMean with an input, Split with num_outputs, GroupNormalization
    of a scale a group, LayerNormalization."""
    domain = "pkg.onnxscript.torch_lib"
    w1, b1 = m.weight("w1", 12, 3, 3, 3), m.weight("b1", 12)
    s, b = m.weight("s", 3, positive=True), m.weight("b", 3)
    m.constant("axes", np.array([2, 3]))
    m.functions = [
        helper.make_function(domain, "aten_convolution", ["input", "weight", "bias"], ["out"],
                             [helper.make_node("Conv", ["input", "weight", "bias"], ["out"],
                                               strides=[2, 2], pads=[1, 1, 1, 1])],
                             [helper.make_opsetid("", 18)]),
        helper.make_function(domain, "aten_silu", ["self"], ["out"],
                             [helper.make_node("Sigmoid", ["self"], ["s"]),
                              helper.make_node("Mul", ["self", "s"], ["out"])],
                             [helper.make_opsetid("", 18)])]
    m.node("aten_convolution", "x w1 b1", "c1", domain)
    m.node("GroupNormalization", "c1 s b", "gn", num_groups=3, epsilon=1e-4)
    m.node("aten_silu", "gn", "features", domain)
    m.node("Split", "features", ["p", "q", "r"], axis=1, num_outputs=3)
    m.node("Mul", "p q", "pq")
    m.node("Add", "pq r", "pqr")
    m.node("ReduceMean", "pqr axes", "mean", keepdims=0)
    m.node("Gemm", "mean fc fcb", "scores")
    y = F.group_norm(F.conv2d(x, w1, b1, stride=2, padding=1), 3,
                     s.repeat_interleave(4), b.repeat_interleave(4), 1e-4)
    p, q, r = keep(m, F.silu(y)).chunk(3, 1)
    return linear(m, (p * q + r).mean((2, 3)), 4)


def newest(m, x):
    """Opset 21: GroupNormalization of a scale a channel; Gelu, both kinds; ReduceMax with axes."""
    w1, b1 = m.weight("w1", 12, 3, 3, 3), m.weight("b1", 12)
    s, b = m.weight("s", 12, positive=True), m.weight("b", 12)
    m.constant("axes", np.array([2, 3]))
    m.node("Conv", "x w1 b1", "c1", strides=[2, 2], pads=[1, 1, 1, 1])
    m.node("GroupNormalization", "c1 s b", "gn", num_groups=4)
    m.node("Gelu", "gn", "ge")
    m.node("Gelu", "ge", "features", approximate="tanh")
    m.node("ReduceMax", "features axes", "most", keepdims=0)
    m.node("ReduceMean", "features axes", "mean", keepdims=0)
    m.node("Add", "most mean", "both")
    m.node("Gemm", "both fc fcb", "scores")
    y = F.group_norm(F.conv2d(x, w1, b1, stride=2, padding=1), 4, s, b)
    y = keep(m, F.gelu(F.gelu(y), approximate="tanh"))
    return linear(m, y.amax((2, 3)) + y.mean((2, 3)))


CASES = {
    "keras": (keras, dict(nhwc=True)),
    "keras same lower": (keras_same_lower, dict(nhwc=True, opset=11)),
    "model zoo": (model_zoo, dict(opset=7, ir=3, inputs_too=True)),
    "model zoo, opset 8": (model_zoo, dict(opset=8, ir=3, inputs_too=True)),
    "caffe2": (caffe2, dict(opset=6, ir=3, inputs_too=True)),
    "matlab": (matlab, dict(opset=8, ir=4)),
    "paddle": (paddle, dict(opset=11, ir=7)),
    "onnxruntime, convolutions": (fused_conv, dict(domains=(MS,))),
    "onnxruntime, transformer": (fused_transformer, dict(opset=17, domains=(MS,))),
    "dynamo": (dynamo, dict(opset=18, domains=("pkg.onnxscript.torch_lib",))),
    "newest": (newest, dict(opset=21, ir=10)),
}


def check(tool, make, options):
    m = Model(**options)
    x = torch.from_numpy(m.x).requires_grad_(True)
    logits = make(m, x)[0]
    logits[logits.argmax()].backward()
    a, g = (t[0].double().numpy() for t in (m.kept.detach(), m.kept.grad))
    # HiResCAM's map shows the gradient element by element, Grad-CAM's its means.
    maps = {"gradcam": np.tensordot(g.mean((1, 2)), a, axes=1), "hirescam": (g * a).sum(0)}
    texts, all_good = [], True
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.onnx")
        m.save(path)
        fed = m.x.transpose(0, 2, 3, 1) if m.nhwc else m.x
        for method, raw in maps.items():
            done, report, found = explain(tool, folder, path, np.ascontiguousarray(fed),
                                          ["--layer", "features", "--method", method])
            if report is None:
                return False, done.stderr.strip()
            good, text = judge(report, found, logits.detach().numpy(), raw)
            all_good = all_good and good
            texts.append(f"{method}: {text}")
    return all_good, "; ".join(texts)


def main():
    tool, only, failed = sys.argv[1], sys.argv[2:], 0
    for name, case in CASES.items():
        if only and name not in only:
            continue
        good, text = check(tool, *case)
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name:26} {text}", flush=True)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
