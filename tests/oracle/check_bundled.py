#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bundled scene with the bundled model: both things are the two best classes, and each map's maximum
lies in the thing's true box, as models/emoji/scenes.py drew it (scene 1412 before a photograph).

  check_bundled.py GRADCAM MODELS
"""
import json
import os
import subprocess
import sys
import tempfile

BOXES = {"cat": (74, 71, 125, 120), "penguin": (40, 152, 89, 210)}


def main(tool, models):
    folder = os.path.join(models, "emoji")
    with tempfile.TemporaryDirectory() as out:
        result = subprocess.run([tool, "explain", os.path.join(folder, "emoji.onnx"), os.path.join(folder, "scene.png"),
                                 "--target", "top:2", "--json", "--quiet", "-o", out + "/"],
                                check=True, stdout=subprocess.PIPE)
    maps = json.loads(result.stdout)["maps"]
    failures = 0
    if {entry["label"] for entry in maps} != set(BOXES):
        print("FAIL the two best classes:", [entry["label"] for entry in maps])
        failures += 1
    for entry in maps:
        x0, y0, x1, y1 = BOXES.get(entry["label"], (0, 0, -1, -1))
        hit = x0 <= entry["peak"]["x"] <= x1 and y0 <= entry["peak"]["y"] <= y1
        print("ok  " if hit else "FAIL", entry["label"], entry["peak"])
        failures += not hit
    return failures > 0


sys.exit(main(*sys.argv[1:]))
