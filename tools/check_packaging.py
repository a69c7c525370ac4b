#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the packaging to what it describes: versions, symbols, build packages.

  check_packaging.py            complains of differences
  check_packaging.py --update   first adds new functions to the list of symbols
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SYMBOLS = "debian/libgradcam0.symbols"
# What control asks for in another name than setup.sh, which names what fits both Debian releases.
SAME = {"libjpeg62-turbo-dev": "libjpeg-dev"}
# Debian's build machines have these; packages need not ask for them. meson brings ninja.
ESSENTIAL = {"gcc", "libc6-dev", "ninja-build"}
# Only setup.sh does without: debhelper, and the interpreter of the tests.
ONLY_CONTROL = {"debhelper-compat", "python3"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def difference(what, found, expected):
    """Complaints about two sets that should be equal."""
    if found - expected:
        yield f"{what}: too many: {', '.join(sorted(found - expected))}"
    if expected - found:
        yield f"{what}: missing: {', '.join(sorted(expected - found))}"


def meson_version():
    return re.search(r"version: '([0-9.]+)'", read("meson.build")).group(1)


def check_version():
    meson = meson_version()
    debian = re.match(r"gradcam \(([0-9.]+)[^)]*\)", read("debian/changelog")).group(1)
    if meson != debian:
        yield f"debian/changelog is of version {debian}, meson.build of {meson}"


def header_symbols():
    return set(re.findall(r"GRADCAM_API[^;]*?\b(gradcam_\w+)\(", read("include/gradcam.h")))


def listed_symbols():
    """The functions in debian's list, each with the version that brought it."""
    return re.findall(r"^ (gradcam_\w+)@Base ([0-9.]+)$", read(SYMBOLS), re.M)


def update_symbols():
    since = dict(listed_symbols())
    lines = [f" {name}@Base {since.get(name, meson_version())}" for name in sorted(header_symbols())]
    head = read(SYMBOLS).splitlines()[0]
    (ROOT / SYMBOLS).write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


def check_symbols():
    listed = [name for name, _ in listed_symbols()]
    yield from difference(f"{SYMBOLS} (try {sys.argv[0]} --update)", set(listed), header_symbols())
    if listed != sorted(listed):
        yield f"{SYMBOLS}: not in alphabetical order"


def field(name, after=""):
    """The package names in a field of debian/control, that of a package if `after` names it."""
    pattern = rf"{after}(?:.*\n)*?{name}:\n((?: .*\n)+)"
    lines = re.search(pattern, read("debian/control")).group(1).splitlines()
    names = {line.strip().split()[0].rstrip(",") for line in lines}
    return {name for name in names if not name.startswith("$")}


def check_build_packages():
    setup = re.search(r"^build_packages=\(([^)]*)\)", read("setup.sh"), re.M).group(1).split()
    build = {name.split(":")[0] for name in field("Build-Depends")}
    expected = {SAME.get(name, name) for name in setup} - ESSENTIAL | ONLY_CONTROL
    yield from difference("debian/control, Build-Depends (see setup.sh)", build, expected)
    # Linking statically, and pkg-config in any case, needs what the library was built with.
    libraries = {name for name in build if name.endswith("-dev")} | {"libgradcam0"}
    found = field("Depends", after="Package: libgradcam-dev\n")
    yield from difference("debian/control, Depends of libgradcam-dev", found, libraries)


def main():
    if sys.argv[1:] == ["--update"]:
        update_symbols()
    errors = [*check_version(), *check_symbols(), *check_build_packages()]
    print("\n".join(errors) or "packaging: versions, symbols and build packages agree")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
