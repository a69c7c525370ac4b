#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian packages from a copy of this tree, has lintian look at them where it is
# installed, and uses what is in them.
#
#   debian.sh           in a temporary folder
#   debian.sh FOLDER    leaves the packages in FOLDER
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
command -v dpkg-buildpackage >/dev/null || { echo "dpkg-buildpackage is not installed"; exit 77; }
command -v dh >/dev/null || { echo "debhelper is not installed"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/gradcam"
tar -C "$source" --exclude='./build*' --exclude=./.git -cf - . | tar -C "$work/gradcam" -xf -
cd "$work/gradcam"
export DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS:-parallel=$(nproc)}
dpkg-buildpackage -us -uc -b

if command -v lintian >/dev/null; then
    # The tree is no release: it closes no bug, and its maintainer has no address.
    lintian --fail-on error,warning --allow-root \
        --suppress-tags bogus-mail-host,initial-upload-closes-no-bugs ../*.changes
else
    echo "lintian is not installed: the packages are not looked at"
fi

for package in ../*.deb; do
    dpkg-deb --extract "$package" "$work/root"
done
tests/packaging/install.sh --root "$work/root"
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    cp ../*.deb "$1"
fi
echo "debian: $(cd .. && echo *.deb)"
