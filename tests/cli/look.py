#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Looks into output files, with Python's standard library alone.

  look.py FILE...              kind and size of pictures; type, shape and range of .npy files
  look.py --thirds W H < JSON  in which part of a picture of W x H pixels each map peaks
"""
import ast
import json
import struct
import sys


def describe_npy(data):
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10 : 10 + length].decode("latin-1"))
    values = struct.unpack(f"<{(len(data) - 10 - length) // 4}f", data[10 + length :])
    low, high = min(values), max(values)
    span = "0 to 1" if low >= 0 and high <= 1 else "wider than 0 to 1"
    return f"npy {header['descr']} {header['shape']}, {span}"


def describe_jpeg(data):
    at = 2
    while data[at + 1] not in (0xC0, 0xC2):
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    height, width = struct.unpack(">HH", data[at + 5 : at + 9])
    return f"JPEG {width}x{height}"


def describe(data):
    if data.startswith(b"\x89PNG"):
        return "PNG {}x{}".format(*struct.unpack(">II", data[16:24]))
    if data.startswith(b"\xff\xd8"):
        return describe_jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"\x93NUMPY"):
        return describe_npy(data)
    return f"unknown, {len(data)} bytes"


def describe_peak(peak, width, height):
    if peak["x"] is None:
        return "nowhere"
    column = ["left", "middle", "right"][min(peak["x"] * 3 // width, 2)]
    row = ["top", "middle", "bottom"][min(peak["y"] * 3 // height, 2)]
    return f"{row} {column}"


def main():
    if sys.argv[1] == "--thirds":
        width, height = int(sys.argv[2]), int(sys.argv[3])
        for line in sys.stdin:
            for entry in json.loads(line)["maps"]:
                where = describe_peak(entry["peak"], width, height)
                print(f"{entry['class_index']} {entry['label']}: {entry['status']}, {where}")
        return
    for name in sys.argv[1:]:
        with open(name, "rb") as file:
            print(f"{name}: {describe(file.read())}")


if __name__ == "__main__":
    main()
