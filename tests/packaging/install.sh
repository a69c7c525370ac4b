#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is installed can be used: the files are there, the example is compiled against them with
# pkg-config, with the shared and with the static library, and runs, and so does the tool.
#
#   install.sh BUILD_FOLDER     installs it to a temporary folder
#   install.sh --root FOLDER    tries what lies under FOLDER (FOLDER/usr/...)
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -ge 1 ] || { sed -n '6,7s/^# *//p' "$0" >&2; exit 2; }
command -v pkg-config >/dev/null || { echo "pkg-config is not installed"; exit 77; }
compiler=${CC:-cc}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$1" = --root ]; then
    top=$(realpath "$2")
else
    top=$work/root
    DESTDIR=$top meson install -C "$1" --no-rebuild --quiet
fi

one() { # PATTERN: the only file under $top whose path ends so
    local found
    mapfile -t found < <(find "$top" -path "*/$1" \( -type f -o -type l \))
    [ ${#found[@]} -eq 1 ] || { echo "$1: ${#found[@]} files under $top, expected one" >&2; return 1; }
    echo "${found[0]}"
}

# ---- Every file --------------------------------------------------------------------------------

pc=$(one gradcam.pc)
header=$(one include/gradcam.h)
tool=$(one bin/gradcam)
static=$(one libgradcam.a)
shared=$(one libgradcam.so)
one libgradcam.so.0 >/dev/null
page=$(find "$top" -path '*/man/man1/gradcam.1*')
[ -s "$page" ] || { echo "no manual page"; exit 1; }
one share/bash-completion/completions/gradcam >/dev/null
[ -n "$(find "$top" -path '*/zsh/*/_gradcam')" ] || { echo "no completion for zsh"; exit 1; }
cmp "$header" "$source/include/gradcam.h"
models=()
for model in "$source"/models/*/*.onnx; do
    [ -f "$model" ] || continue
    models+=("$model")
    folder=$(dirname "$model")
    for name in "$(basename "$model")" config.json preprocessor_config.json README.md scene.png; do
        cmp "$(one "share/gradcam/models/$(basename "$folder")/$name")" "$folder/$name"
    done
done
# The library gives nothing away but its interface.
alien=$(nm -D --defined-only "$shared" | awk '$2 ~ /[A-Z]/ && $3 !~ /^gradcam_/ { print $3 }')
[ -z "$alien" ] || { echo "exported, but not of the interface: $alien"; exit 1; }

# ---- The example, twice ------------------------------------------------------------------------

prefix=${pc%/lib/*}
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$pc")
config() { pkg-config --define-variable=prefix="$prefix" "$@" gradcam; }
model=$source/tests/fixtures/cli/model.onnx
picture=$source/tests/fixtures/cli/picture.png

# Flags are words on purpose.
# shellcheck disable=SC2046
"$compiler" "$source/examples/explain.c" $(config --cflags) $(config --libs) -o "$work/shared"
read -r -a private <<<"$(config --static --libs)"
# shellcheck disable=SC2046
"$compiler" "$source/examples/explain.c" $(config --cflags) "${private[@]/#-lgradcam/$static}" -o "$work/static"
export LD_LIBRARY_PATH
LD_LIBRARY_PATH=$(dirname "$shared")
# Into variables: a reader of a pipe that stops early makes the writer fail.
libraries=$(ldd "$work/shared")
[[ $libraries == *"$LD_LIBRARY_PATH/libgradcam.so.0"* ]] || { echo "not the installed library: $libraries"; exit 1; }
libraries=$(ldd "$work/static")
[[ $libraries != *libgradcam* ]] || { echo "not a static library: $libraries"; exit 1; }
for kind in shared static; do
    "$work/$kind" "$model" "$picture" "$work/$kind.png" >"$work/$kind.txt"
done
cmp "$work/shared.png" "$work/static.png"
cmp "$work/shared.txt" "$work/static.txt"

# ---- The tool ----------------------------------------------------------------------------------

"$tool" explain "$model" "$picture" -o "$work/tool.png" >/dev/null
cmp "$work/shared.png" "$work/tool.png"
for model in "${models[@]}"; do
    installed=$(one "share/gradcam/models/${model#"$source"/models/}")
    "$tool" explain "$installed" "$(dirname "$installed")/scene.png" -o "$work/scene.png" >/dev/null
done
version=$(config --modversion)
said=$("$tool" --version)
[ "${said%%$'\n'*}" = "gradcam $version" ] || { echo "versions differ: $said"; exit 1; }
echo "install: gradcam $version: header, libraries, tool, manual page and completions can be used"
