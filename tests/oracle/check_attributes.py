#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every attribute of every operator that is claimed is set away from its default in a fixture
(tests/fixtures/ops) with values from PyTorch, which would differ if the attribute were ignored; of
those that name a choice, every choice. What is not is listed below with the reason, and a reason
that is no longer needed is an error, too.

Attributes are those of all versions in the onnx package, and of later ones as listed here.

  check_attributes.py TEST_ONNX_NODE
"""
import collections
import pathlib
import subprocess
import sys

import onnx
from onnx import helper

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "ops"

MEMORY_HINT = "a hint about memory in opset 1; changes no value"
UNSUPPORTED = "not supported, and refused with a message"
# (operator or "*", attribute): why no fixture sets it.
REASONS = {
    ("*", "consumed_inputs"): MEMORY_HINT,
    ("Constant", "sparse_value"): UNSUPPORTED,
    ("Constant", "value_string"): "strings: " + UNSUPPORTED,
    ("Constant", "value_strings"): "strings: " + UNSUPPORTED,
    ("LayerNormalization", "stash_type"): "the precision of what lies between: always float32",
    ("GroupNormalization", "stash_type"): "the precision of what lies between: always float32",
    ("Cast", "saturate"): "of float8 types, which are refused",
    ("CastLike", "saturate"): "of float8 types, which are refused",
}

# (operator, attribute): default, None for none. Added by opsets 18 to 21; from the ONNX operator
# changelog.
NEWER = {
    ("AveragePool", "dilations"): None, ("Cast", "saturate"): 1, ("CastLike", "saturate"): 1,
    ("DequantizeLinear", "block_size"): 0, ("Gelu", "approximate"): b"none",
    ("GridSample", "mode"): b"linear", ("GroupNormalization", "epsilon"): 1e-5,
    ("GroupNormalization", "num_groups"): None, ("GroupNormalization", "stash_type"): 1,
    ("LpPool", "ceil_mode"): 0, ("LpPool", "dilations"): None,
    ("QuantizeLinear", "block_size"): 0, ("QuantizeLinear", "output_dtype"): 0,
    ("QuantizeLinear", "saturate"): 1, ("Resize", "antialias"): 0, ("Resize", "axes"): None,
    ("Resize", "keep_aspect_ratio_policy"): b"stretch", ("Split", "num_outputs"): None,
    **{(f"Reduce{kind}", "noop_with_empty_axes"): 0
       for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")},
}

AUTO_PAD = ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]
CHOICES = {
    **{(op, "auto_pad"): AUTO_PAD for op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool",
                                             "LpPool")},
    ("DepthToSpace", "mode"): ["DCR", "CRD"],
    ("Gelu", "approximate"): ["none", "tanh"],
    ("GridSample", "mode"): ["linear", "nearest", "cubic", "bilinear", "bicubic"],
    ("GridSample", "padding_mode"): ["zeros", "border", "reflection"],
    ("Pad", "mode"): ["constant", "reflect", "edge", "wrap"],
    ("Resize", "coordinate_transformation_mode"): [
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
        "tf_half_pixel_for_nn", "tf_crop_and_resize"],
    ("Resize", "keep_aspect_ratio_policy"): ["stretch", "not_larger", "not_smaller"],
    ("Resize", "mode"): ["nearest", "linear", "cubic"],
    ("Resize", "nearest_mode"): ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"],
    ("RoiAlign", "coordinate_transformation_mode"): ["half_pixel", "output_half_pixel"],
    ("RoiAlign", "mode"): ["avg", "max"],
    ("ScatterElements", "reduction"): ["none", "add", "mul", "min", "max"],
    ("ScatterND", "reduction"): ["none", "add", "mul", "min", "max"],
    ("Upsample", "mode"): ["nearest", "linear", "bilinear"],
}


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def schema_defaults():
    """(operator, attribute): the defaults of each version, as text; "" for none."""
    found = collections.defaultdict(set)
    for schema in onnx.defs.get_all_schemas_with_history():
        for name, a in schema.attributes.items() if schema.domain == "" else ():
            has = a.default_value.name != ""
            found[(schema.name, name)].add(
                text(helper.get_attribute_value(a.default_value)) if has else "")
    for key, value in NEWER.items():
        found[key].add("" if value is None else text(value))
    return found


def default_at(op, attribute, opset):
    """As text; "" where there is none, or the version is newer than the onnx package."""
    try:
        schema = onnx.defs.get_schema(op, min(opset, onnx.defs.onnx_opset_version()), "")
    except onnx.defs.SchemaError:
        schema = None
    a = schema.attributes.get(attribute) if schema is not None else None
    if a is not None:
        return text(helper.get_attribute_value(a.default_value)) if a.default_value.name else ""
    newer = NEWER.get((op, attribute))
    return "" if newer is None else text(newer)


def values_in_fixtures():
    """(operator, attribute): values, and those that are no default; of cases that must succeed."""
    values, unusual = collections.defaultdict(set), collections.defaultdict(set)
    for path in FIXTURES.glob("*.expected.onnx"):
        if any(t.name == "error:status" for t in onnx.load(path).graph.initializer):
            continue
        model = onnx.load(path.with_name(path.name.replace(".expected", "")))
        opset = [o.version for o in model.opset_import if o.domain == ""][0]
        for node in model.graph.node:
            for a in node.attribute if node.domain == "" else ():
                value = text(helper.get_attribute_value(a))
                values[(node.op_type, a.name)].add(value)
                if value != default_at(node.op_type, a.name, opset):
                    unusual[(node.op_type, a.name)].add(value)
    return values, unusual


def main():
    done = subprocess.run([sys.argv[1], "claims"], capture_output=True, text=True, check=True)
    claimed = {line.split("\t")[0] for line in done.stdout.splitlines()
               if line.split("\t")[1] == ""}
    defaults = schema_defaults()
    values, unusual = values_in_fixtures()
    problems, count, used = [], 0, set()
    for key in sorted(defaults):
        op, attribute = key
        if op not in claimed:
            continue
        count += 1
        if unusual[key]:
            continue
        reason = key if key in REASONS else ("*", attribute)
        if reason in REASONS:
            used.add(reason)
        else:
            problems.append(f"{op}.{attribute}: no fixture sets it to other than its default "
                            f"({', '.join(sorted(defaults[key])) or 'none'})")
    for key, choices in CHOICES.items():
        default = {d for d in defaults[key] if d}
        missing = [c for c in choices if c not in values[key] | default]
        if missing:
            problems.append(f"{'.'.join(key)}: no fixture has {', '.join(missing)}")
    for key in sorted(set(REASONS) - used):
        problems.append(f"{'.'.join(key)}: the reason is no longer needed: a fixture sets it")
    print("\n".join(problems) or f"{count} attributes of {len(claimed)} operators, "
          f"{len(CHOICES)} of them with all their choices; {len(REASONS)} reasons")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
