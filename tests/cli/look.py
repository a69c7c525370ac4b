#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Looks into output files, with Python's standard library alone.

  look.py FILE...              kind and size of pictures; type, shape and range of .npy files
  look.py --peaks < JSON       in which third of picture.png (60 pixels wide) each map peaks
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


def main():
    if sys.argv[1] == "--peaks":
        for line in sys.stdin:
            for entry in json.loads(line)["maps"]:
                x = entry["peak"]["x"]
                third = None if x is None else ["left", "middle", "right"][min(x // 20, 2)]
                print(f"{entry['label']}: {entry['status']}, {third}")
        return
    for name in sys.argv[1:]:
        with open(name, "rb") as file:
            print(f"{name}: {describe(file.read())}")


if __name__ == "__main__":
    main()
