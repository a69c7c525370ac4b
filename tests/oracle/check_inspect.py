#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gradcam inspect against the onnx package, and its MACs against published counts and PyTorch hooks.

  check_inspect.py GRADCAM
"""
import collections
import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
import torch
import torchvision
from onnx import TensorProto, helper, numpy_helper

warnings.filterwarnings("ignore")
# Multiply-adds of the papers and of torchvision's documentation, in millions.
PUBLISHED = {"resnet18": 1814, "mobilenet_v2": 301, "squeezenet1_1": 349, "densenet121": 2834}


def inspect(tool, path, code=0):
    done = subprocess.run([tool, "inspect", path, "--json"], capture_output=True, text=True)
    assert done.returncode == code, (done.returncode, done.stderr)
    text = subprocess.run([tool, "inspect", path], capture_output=True, text=True)
    assert text.returncode == code, text.stderr
    return (json.loads(done.stdout), text.stdout) if code == 0 else (None, done.stderr)


def shape_of(value):
    return [d.dim_param if d.HasField("dim_param") or not d.HasField("dim_value") else d.dim_value
            for d in value.type.tensor_type.shape.dim]


def check_with_onnx(report, path):
    model = onnx.load(path)
    graph = model.graph
    counts = collections.Counter((n.domain, n.op_type) for n in graph.node)
    assert {(o["domain"], o["name"]): o["count"] for o in report["operators"]} == counts
    assert report["nodes"] == len(graph.node) and report["ir_version"] == model.ir_version
    assert report["opsets"] == {o.domain or "ai.onnx": o.version for o in model.opset_import}
    assert report["producer"] == f"{model.producer_name} {model.producer_version}".strip()
    names = {t.name for t in graph.initializer}
    for key, values in (("inputs", [i for i in graph.input if i.name not in names]),
                        ("outputs", graph.output)):
        assert [(v["name"], v["shape"]) for v in report[key]] == [
            (v.name, shape_of(v)) for v in values], report[key]
    arrays = [numpy_helper.to_array(t) for t in graph.initializer if t.dims]
    assert report["parameters"] == sum(a.size for a in arrays)
    assert report["parameter_bytes"] == sum(a.nbytes for a in arrays)


def hooked_macs(model, x):
    total = []

    def count(module, inputs, output):
        if isinstance(module, torch.nn.Linear):
            total.append(output.numel() * module.in_features)
        else:
            total.append(output.numel() * module.weight[0].numel())
    for m in model.modules():
        if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)):
            m.register_forward_hook(count)
    model(x)
    return sum(total)


def check_network(tool, name, folder):
    torch.manual_seed(1)
    model, x = getattr(torchvision.models, name)(weights=None).eval(), torch.randn(1, 3, 224, 224)
    path = os.path.join(folder, name + ".onnx")
    torch.onnx.export(model, x, path, opset_version=13, input_names=["input"],
                      dynamic_axes={"input": {0: "batch"}})
    report, _ = inspect(tool, path)
    check_with_onnx(report, path)
    assert report["supported"] and report["problems"] == [] and report["layer"] is not None
    assert report["macs"] == hooked_macs(model, x), report["macs"]
    assert abs(report["macs"] / 1e6 - PUBLISHED[name]) < 0.5 + PUBLISHED[name] * 0.003, report["macs"]
    os.remove(path)
    return f"{report['macs']} MACs, {report['parameters']} parameters"


def constant(name, *dims):
    return numpy_helper.from_array(np.ones(dims, np.float32), name)


def check_unsupported(tool, folder):
    """Every operator that is missing is named, also behind one that is missing itself."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
             helper.make_node("Bernoulli", ["a"], ["b"]),
             helper.make_node("Fancy", ["b"], ["c"], domain="com.example"),
             helper.make_node("Fancy", ["c"], ["d"], domain="com.example"),
             helper.make_node("GlobalAveragePool", ["d"], ["y"]),
             helper.make_node("Multinomial", ["d"], ["unused"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, None, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [constant("w", 4, 3, 3, 3)])
    model = helper.make_model(graph, producer_name="us", opset_imports=[
        helper.make_opsetid("", 15), helper.make_opsetid("com.example", 3)])
    path = os.path.join(folder, "u.onnx")
    onnx.save(model, path)
    report, text = inspect(tool, path)
    missing = {(o["domain"], o["name"]) for o in report["operators"] if not o["supported"]}
    # Multinomial makes what nothing reads, so it does not matter.
    assert missing == {("", "Bernoulli"), ("com.example", "Fancy")}, missing
    assert len(report["problems"]) == 2 and not report["supported"], report["problems"]
    assert report["macs"] is None and report["layer"] is None
    assert report["inputs"] == [{"name": "x", "type": "float32", "shape": ["n", 3, "", 8]}]
    assert report["outputs"][0]["shape"] is None
    assert "Fancy" in text and "NOT SUPPORTED" in text
    return f"{report['problems']}"


def check_unreadable(tool, folder):
    path = os.path.join(folder, "no.onnx")
    with open(path, "wb") as file:
        file.write(b"no model at all")
    _, text = inspect(tool, path, 4)
    assert "no.onnx" in text
    # What the reader refuses is a problem of a model, not a failure of the inspection.
    nodes = [helper.make_node("Resize", ["x"], ["y"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)]), path)
    report, _ = inspect(tool, path)
    assert len(report["problems"]) == 1 and "Resize" in report["problems"][0], report["problems"]
    return report["problems"][0]


def main():
    tool, failed = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as folder:
        checks = {name: (check_network, name) for name in PUBLISHED}
        checks["unsupported"] = (check_unsupported,)
        checks["unreadable"] = (check_unreadable,)
        for name, (check, *arguments) in checks.items():
            try:
                print(f"ok   {name}: {check(tool, *arguments, folder)}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"FAIL {name}: {error!r}", flush=True)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
