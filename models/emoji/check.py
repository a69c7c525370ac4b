#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the bundled model with gradcam itself on held-out scenes, and fails below the bars.

    python3 models/emoji/check.py build/src/cli/gradcam [--count N] [--model FILE]

 - top-1: scenes of one thing whose class is the predicted one;
 - both in the top 2: scenes of two things whose classes are the two best ones;
 - pointing game (Zhang et al., 2016, arXiv:1608.00507): explanations of a thing's class whose
   maximum lies in the true box of the thing; every thing of every scene counts, whatever was predicted.

Needs what train.py needs, without PyTorch. Exit code 77 where the scenes' material is not installed.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from PIL import Image

import scenes

BARS = {"top-1, one thing": 0.95, "both in the top 2, two things": 0.90,
        "pointing game, one thing": 0.95, "pointing game, first of two": 0.95, "pointing game, second of two": 0.95}


def run(tool, *arguments):
    result = subprocess.run([tool, *arguments], check=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in result.stdout.splitlines()]


class Rates:
    def __init__(self):
        self.hits, self.tries = dict.fromkeys(BARS, 0), dict.fromkeys(BARS, 0)

    def add(self, name, hit):
        self.hits[name] += bool(hit)
        self.tries[name] += 1

    def rate(self, name):
        return self.hits[name] / self.tries[name]


def write_scenes(folder, count):
    """Scenes as files; returns the things of each: name of the file to labels and boxes."""
    source = scenes.Scenes("test")
    truth = {}
    for index in range(count):
        for things in (1, 2):
            picture, labels, boxes, _ = source.scene(index, things)
            path = os.path.join(folder, f"{index}-{things}.png")
            Image.fromarray(picture).save(path)
            truth[path] = list(zip(labels, boxes))
    return truth


def check_predictions(options, truth, rates):
    for row in run(options.tool, "classify", options.model, *truth, "--top", "2", "--json", "--quiet"):
        best = [prediction["index"] for prediction in row["predictions"]]
        labels = [label for label, _ in truth[row["picture"]]]
        if len(labels) == 1:
            rates.add("top-1, one thing", best[0] == labels[0])
        else:
            rates.add("both in the top 2, two things", set(best) == set(labels))


def check_pointing(options, folder, truth, rates):
    """One run a class, over all scenes that show it."""
    for label in range(len(scenes.LABELS)):
        shown = [path for path, things in truth.items() if label in (one for one, _ in things)]
        if not shown:
            continue
        for row in run(options.tool, "explain", options.model, *shown, "--class", str(label), "--json", "--quiet",
                       "--output", os.path.join(folder, "maps/")):
            things = truth[row["picture"]]
            place = [one for one, _ in things].index(label)
            x0, y0, x1, y1 = things[place][1]
            peak = row["maps"][0]["peak"]
            name = "one thing" if len(things) == 1 else ("first of two", "second of two")[place]
            rates.add("pointing game, " + name, x0 <= peak["x"] <= x1 and y0 <= peak["y"] <= y1)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--count", type=int, default=1000, help="scenes of either kind")
    parser.add_argument("--model", default=os.path.join(here, "emoji.onnx"))
    options = parser.parse_args()
    missing = scenes.missing_material()
    if missing:
        print(f"skipped: {missing} is not there; ./setup.sh --tests installs it")
        return 77
    rates = Rates()
    with tempfile.TemporaryDirectory() as folder:
        truth = write_scenes(folder, options.count)
        check_predictions(options, truth, rates)
        check_pointing(options, folder, truth, rates)
    for name, bar in BARS.items():
        print(f"{name:32} {rates.rate(name):6.1%} of {rates.tries[name]}, at least {bar:.0%}")
    return any(rates.rate(name) < bar for name, bar in BARS.items())


if __name__ == "__main__":
    sys.exit(main())
