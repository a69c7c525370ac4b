#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hardening.sh [--fortified] FILE...: each is position-independent, binds at once, has no executable
# stack and no segment that is both writable and executable, guards its stack, and on x86 marks where
# indirect jumps may land. --fortified: it was built so that copies are checked, too.
set -euo pipefail
export LC_ALL=C
is_fortified=
[ "$1" != --fortified ] || { is_fortified=yes && shift; }
for file in "$@"; do
    readelf -hW "$file" | grep -q 'Type: *DYN' || { echo "$file: not position-independent"; exit 1; }
    readelf -dW "$file" | grep -qE 'BIND_NOW|Flags:.* NOW' || { echo "$file: binds lazily"; exit 1; }
    readelf -lW "$file" | grep -q GNU_RELRO || { echo "$file: no RELRO"; exit 1; }
    readelf -lW "$file" | grep -q 'GNU_STACK.* RW ' || { echo "$file: executable stack"; exit 1; }
    if readelf -lW "$file" | grep -E 'LOAD .* RWE '; then
        echo "$file: a segment is writable and executable"
        exit 1
    fi
    imports=$(nm -D --undefined-only "$file")
    grep -q __stack_chk_fail <<<"$imports" || { echo "$file: no stack protector"; exit 1; }
    [ -z "$is_fortified" ] || grep -q '__[a-z]*_chk' <<<"$imports" ||
        { echo "$file: not fortified"; exit 1; }
    # Of a program, the linker has dropped the names.
    start=$(nm -D --defined-only "$file" | awk '$3 == "gradcam_model_load" { print $1 }')
    if readelf -hW "$file" | grep -q 'Machine:.*X86-64' && [ -n "$start" ]; then
        objdump -d --start-address="0x$start" --stop-address=$((16#$start + 16)) "$file" |
            grep -q endbr64 ||
            { echo "$file: without landing marks (-fcf-protection)"; exit 1; }
    fi
done
