#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Enforces the folder rule of src/README.md.

The order of the folders is read from the table there. A file may include its own folder and those
above it in the table; cli/ and examples/ are narrower, and some outside headers have one home.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Folders that may include less than what stands above them.
NARROWER = {"cli": {"base", "picture", "cli"}}

# Outside headers (a pattern of the name) and the only folder that may include them.
HOMES = [
    (re.compile(r"(^|/)dnnl[a-z_]*\.(h|hpp)$"), "engine/dnnl"),
    (re.compile(r"(^|/)protobuf-c|\.pb-c\.h$"), "onnx"),
]


def read_order():
    """The folders in the table of src/README.md, from the ground up."""
    text = (SOURCE / "README.md").read_text(encoding="utf-8")
    order = re.findall(r"^\| `([a-z]+)/` \|", text, re.MULTILINE)
    present = sorted(p.name for p in SOURCE.iterdir() if p.is_dir())
    missing = [name for name in present if name not in order]
    if not order or missing:
        sys.exit(f"src/README.md: the table of folders lacks {', '.join(missing) or 'all rows'}")
    return order


def allowed_folders(folder, order):
    return NARROWER.get(folder, set(order[: order.index(folder) + 1]))


def complaint(path, quote, header, order):
    """Why a file of src/ may not include this header, or None."""
    relative = path.relative_to(SOURCE).as_posix()
    for pattern, home in HOMES:
        if pattern.search(header):
            inside = relative.startswith(home + "/")
            return None if inside else f"only src/{home}/ may include {header}"
    if quote == "<" or header == "gradcam.h":
        return None
    folder, target = relative.split("/")[0], header.split("/")[0]
    if "/" not in header or target not in order:
        return f'"{header}" names no folder of src/; write "folder/file.h"'
    if target not in allowed_folders(folder, order):
        return f"src/{folder}/ may not include {target}/ (see src/README.md)"
    return None


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def main():
    order = read_order()
    errors = []
    count = 0
    for path in sorted([*SOURCE.rglob("*.c"), *SOURCE.rglob("*.h")]):
        count += 1
        for number, quote, header in includes(path):
            text = complaint(path, quote, header, order)
            if text:
                errors.append(f"{path.relative_to(ROOT)}:{number}: {text}")
    for path in sorted((ROOT / "examples").glob("*.c")):
        for number, quote, header in includes(path):
            if quote == '"' and header != "gradcam.h":
                errors.append(f"{path.relative_to(ROOT)}:{number}: examples use gradcam.h alone")
    print("\n".join(errors) or f"folder rule: {count} files in order")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
