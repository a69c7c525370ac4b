#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/ops/: for every case in op_cases/*.py a model, <case>.onnx, and what
PyTorch computes, <case>.expected.onnx: a model that holds nothing but initializers named

  input:<name>        what to feed
  output:<name>       expected value of a graph output
  grad_output:<name>  gradient of a score with respect to that output
  grad_input:<name>   expected gradient with respect to an input, from autograd
  fd_input:<name>     the same from central finite differences
  error:status        instead of all outputs: the gradcam_status that running must end with

Everything is computed in float64 and stored as float32.

usage: make_op_fixtures.py [--only FAMILY] [OUTPUT_FOLDER]
"""

import argparse
import importlib
import pathlib
import pkgutil

import onnx
import torch
from onnx import helper, numpy_helper

import op_cases


def write(case, folder):
    held = [numpy_helper.from_array(array, name) for name, array in case.arrays.items()]
    outs = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in held]
    graph = helper.make_graph([], case.name, [], outs, held)
    expected = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                 producer_name="make_op_fixtures")
    expected.ir_version = 8
    onnx.save(case.model, folder / f"{case.name}.onnx")
    onnx.save(expected, folder / f"{case.name}.expected.onnx")


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", help="one module of op_cases/")
    parser.add_argument("folder", nargs="?", type=pathlib.Path,
                        default=here.parent / "fixtures" / "ops")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_default_dtype(torch.float64)
    names = set()
    for module in sorted(m.name for m in pkgutil.iter_modules(op_cases.__path__)):
        if arguments.only not in (None, module):
            continue
        count = 0
        for case in importlib.import_module(f"op_cases.{module}").cases():
            assert case.name not in names, f"two cases are called {case.name}"
            names.add(case.name)
            write(case, arguments.folder)
            count += 1
        print(f"{module}: {count} cases")


if __name__ == "__main__":
    main()
