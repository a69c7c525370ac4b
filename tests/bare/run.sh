#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tries the two commands of the README where nothing is installed: makes a minimal Debian with
# debootstrap, puts a clean clone of the last commit into it, and runs them there. Needs root.
#
#   tests/bare/run.sh SUITE                    the demo, then the quick tests; SUITE: bookworm, trixie
#   tests/bare/run.sh SUITE demo               the demo, twice
#   tests/bare/run.sh SUITE test [STAGE...]    the tests; default stages: gcc test
#
# Lines of output begin with the seconds since the command started. The tree is removed in the end.
#   GRADCAM_MIRROR   Debian mirror; default: the first of this machine's apt sources
#   GRADCAM_KEEP     not empty: keep the tree and print where it is
# Exit code 77: this machine cannot do it (says why).
set -euo pipefail

usage() {
    sed -n '6,8s/^# *//p' "$0" >&2
    exit 2
}

skip() {
    echo "bare: skipped: $*"
    exit 77
}

root=$(cd "$(dirname "$0")/../.." && pwd)
suite=${1:-}
job=${2:-both}
case $suite in bookworm | trixie) ;; *) usage ;; esac
case $job in both | demo | test) ;; *) usage ;; esac
stages=("${@:3}")
[ ${#stages[@]} -gt 0 ] || stages=(gcc test)

# ---- What is needed ----------------------------------------------------------------------------

[ "$(id -u)" -eq 0 ] || skip "making a tree needs root"
# Mounts are made in a namespace of their own, so that none can be left behind.
unshare --mount --pid --fork --kill-child true 2>/dev/null || skip "no mount namespaces here"
if ! command -v debootstrap >/dev/null; then
    command -v apt-get >/dev/null || skip "debootstrap is not installed, and there is no apt-get"
    { apt-get update -q && apt-get install -q -y --no-install-recommends debootstrap; } ||
        skip "debootstrap cannot be installed"
fi
[ -e "/usr/share/debootstrap/scripts/$suite" ] || skip "this debootstrap does not know $suite"

mirror=${GRADCAM_MIRROR:-}
if [ -z "$mirror" ]; then
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' \
        'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "main" && $3 !~ /-security/ { print $4; exit }')
fi
mirror=${mirror:-http://deb.debian.org/debian}

# ---- The tree ----------------------------------------------------------------------------------

top=$(mktemp -d "${TMPDIR:-/tmp}/gradcam-bare.XXXXXX")
tree=$top/tree
# Invoked by the trap.
# shellcheck disable=SC2317
clean() {
    if [ -n "${GRADCAM_KEEP:-}" ]; then
        echo "bare: the tree is kept: $tree"
    else
        rm -rf --one-file-system "$top"
    fi
}
trap clean EXIT
trap 'exit 130' INT TERM

# alone COMMAND...: in a namespace that takes its mounts and processes with it.
alone() { unshare --mount --pid --fork --kill-child -- "$@"; }

# inside COMMAND...: in the tree, in the clone, with a bare environment.
inside() {
    # $1 is expanded by the inner shell.
    # shellcheck disable=SC2016
    alone bash -c '
        set -e
        tree=$1
        shift
        mount -t proc proc "$tree/proc"
        mount --rbind /dev "$tree/dev"
        exec chroot "$tree" /usr/bin/env -i HOME=/root TERM=dumb \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            sh -c "cd /root/gradcam && exec \"\$@\"" sh "$@"' bash "$tree" "$@"
}

stamped() {
    local start=$SECONDS line
    while IFS= read -r line; do printf '%4d s  %s\n' $((SECONDS - start)) "$line"; done
}

failures=0
# run NAME COMMAND...: one command in the tree, with times; a failure is counted.
run() {
    local name=$1 start=$SECONDS code=0
    shift
    echo "bare: $suite: $name: $*"
    inside "$@" </dev/null 2>&1 | stamped || code=$?
    echo "bare: $suite: $name: exit code $code after $((SECONDS - start)) s"
    [ $code -eq 0 ] || failures=$((failures + 1))
}

echo "bare: a minimal $suite from $mirror"
alone debootstrap --variant=minbase "$suite" "$tree" "$mirror" >"$top/debootstrap.log" 2>&1 || {
    tail -n 20 "$top/debootstrap.log"
    exit 1
}
# A checkout may belong to someone else than root.
git -c safe.directory='*' clone --quiet --no-hardlinks "$root" "$tree/root/gradcam"
if [ -n "$(git -c safe.directory='*' -C "$root" status --porcelain)" ]; then
    echo "bare: note: what is not committed is not tried"
fi
echo "bare: ready after $SECONDS s, commit $(git -C "$tree/root/gradcam" log -1 --format=%h)"

# ---- The commands ------------------------------------------------------------------------------

demo() {
    if [ ! -x "$tree/root/gradcam/demo.sh" ]; then
        echo "bare: there is no demo.sh"
        failures=$((failures + 1))
        return
    fi
    run "demo" ./demo.sh
    run "demo again" ./demo.sh
}

[ "$job" = test ] || demo
[ "$job" = demo ] || run "tests" ./test.sh "${stages[@]}"

if [ $failures -gt 0 ]; then
    echo "bare: $suite: $failures failed"
    exit 1
fi
echo "bare: $suite: all passed"
