#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the JSON of `gradcam KIND --json` (explain, classify or layers) on standard input against
the contract in docs/cli.md, then prints a summary: a line for each object."""
import json
import sys

NUMBER = (int, float)
SHAPE = [int]
# A value is a type, a tuple of types, [type of the elements] or {key: ...}; None is null.
PREDICTION = {
    "index": int,
    "label": (str, None),
    "logit": (int, float, None),
    "probability": (int, float, None),
}
INPUT = {
    "name": str,
    "shape": SHAPE,
    "preset": str,
    "resize": str,
    "mean": [NUMBER],
    "std": [NUMBER],
}
MAP = {
    "class_index": (int, None),
    "label": (str, None),
    "target": str,
    "score": (int, float, None),
    "method": str,
    "part": (int, None),
    "layer": {"name": str, "index": (int, None), "shape": SHAPE, "reason": (str, None)},
    "min": (int, float, None),
    "max": (int, float, None),
    "status": str,
    "peak": {"x": (int, None), "y": (int, None)},
    "files": [str],
}
TIMINGS = ["load", "plan", "preprocess", "forward", "backward", "render"]
PICTURE = {
    "picture": str,
    "model": str,
    "input": INPUT,
    "predictions": [PREDICTION],
    "maps": [MAP],
    "timings_ms": {name: (int, float, None) for name in TIMINGS},
}
LAYER = {
    "index": int,
    "name": str,
    "operator": str,
    "output": str,
    "shape": SHAPE,
    "target": bool,
    "reason": (str, None),
}
LAYERS = {"model": str, "input": INPUT, "layers": [LAYER]}


def fail(where, text):
    sys.exit(f"check_json: {where}: {text}")


def check(value, form, where):
    if isinstance(form, dict):
        if not isinstance(value, dict) or list(value) != list(form):
            fail(where, f"expected an object with {list(form)}, found {value}")
        for key, part in form.items():
            check(value[key], part, f"{where}.{key}")
    elif isinstance(form, list):
        if not isinstance(value, list):
            fail(where, f"expected a list, found {value}")
        for i, item in enumerate(value):
            check(item, form[0], f"{where}[{i}]")
    else:
        forms = form if isinstance(form, tuple) else (form,)
        types = tuple(type(None) if f is None else f for f in forms)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            fail(where, f"expected {form}, found {value!r}")


def check_order(item):
    scores = [p["probability"] for p in item["predictions"]]
    if scores != sorted(scores, reverse=True):
        fail("predictions", f"not best first: {scores}")
    for entry in item["maps"]:
        if entry["status"] not in ("ok", "flat", "non-positive", "not-finite"):
            fail("status", entry["status"])
        if entry["status"] == "ok" and not entry["min"] <= entry["max"]:
            fail("min, max", f"{entry['min']}, {entry['max']}")


def no_constant(text):
    fail("number", f"{text} is not JSON")


def main():
    kind = sys.argv[1]
    lines = sys.stdin.read().splitlines()
    if not lines:
        fail("input", "it is empty")
    for number, line in enumerate(lines, 1):
        item = json.loads(line, parse_constant=no_constant)
        check(item, LAYERS if kind == "layers" else PICTURE, f"line {number}")
        if kind == "layers":
            targets = [layer["name"] for layer in item["layers"] if layer["target"]]
            print(f"{len(item['layers'])} layers, target {', '.join(targets)}")
            continue
        check_order(item)
        best = item["predictions"][0]
        print(f"{item['picture']}: {len(item['predictions'])} predictions, best {best['label']}")
        for entry in item["maps"]:
            print(f"  {entry['class_index']} {entry['status']} {' '.join(entry['files'])}")


if __name__ == "__main__":
    main()
