#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what gradcam needs from Debian's packages, as root or with sudo. Safe to run twice.
#
#   ./setup.sh           to build
#   ./setup.sh --tests   to build and to run ./test.sh
set -euo pipefail

build_packages=(gcc libc6-dev meson ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev
    libdnnl-dev libjpeg62-turbo-dev libpng-dev libdeflate-dev libwebp-dev libtiff-dev libexif-dev
    libcjson-dev)
# Compilers and checkers; what packaging is tried with; the oracles that results are compared with;
# what the scenes of the bundled model are made from.
test_packages=(g++ clang clang-format clang-tidy libomp-dev valgrind libc6-dbg
    dpkg-dev debhelper lintian debootstrap man-db zsh locales
    python3 python3-torch python3-torchvision python3-onnx python3-opencv python3-numpy python3-pil
    libonnx-testdata
    fonts-noto-color-emoji python3-skimage gnome-backgrounds mate-backgrounds plasma-workspace-wallpapers)

packages=("${build_packages[@]}")
case "${1:-}" in
    "") ;;
    --tests) packages+=("${test_packages[@]}") ;;
    *) echo "usage: $0 [--tests]" >&2; exit 2 ;;
esac

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "setup: all ${#packages[@]} packages are installed"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: run this as root, or install sudo" >&2; exit 1; }
    as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
