#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hardening.sh FILE...: each is position-independent, binds at once, has no executable stack and no
# segment that is both writable and executable.
set -euo pipefail
export LC_ALL=C
for file in "$@"; do
    readelf -hW "$file" | grep -q 'Type: *DYN' || { echo "$file: not position-independent"; exit 1; }
    readelf -dW "$file" | grep -qE 'BIND_NOW|Flags:.* NOW' || { echo "$file: binds lazily"; exit 1; }
    readelf -lW "$file" | grep -q GNU_RELRO || { echo "$file: no RELRO"; exit 1; }
    readelf -lW "$file" | grep -q 'GNU_STACK.* RW ' || { echo "$file: executable stack"; exit 1; }
    if readelf -lW "$file" | grep -E 'LOAD .* RWE '; then
        echo "$file: a segment is writable and executable"
        exit 1
    fi
done
