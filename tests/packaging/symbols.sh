#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# symbols.sh HEADER LIBRARY: the shared library exports what the header declares, and nothing else.
set -euo pipefail
export LC_ALL=C
declared=$(grep -v '^#define' "$1" | tr '\n' ' ' | grep -oE 'GRADCAM_API [^(;]*\(' | grep -oE '[a-z_0-9]+\($' |
    tr -d '(' | sort)
exported=$(nm -D --defined-only "$2" | awk '{print $3}' | sort)
[ -n "$declared" ] || { echo "$1 declares nothing"; exit 1; }
diff <(echo "$declared") <(echo "$exported") || { echo "< declared, > exported"; exit 1; }
echo "$(wc -l <<<"$exported") functions"
