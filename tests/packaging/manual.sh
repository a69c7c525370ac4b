#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The manual page: every option of every command and every exit code is in it, and man has nothing
# to complain of. The overview fits a screen of 24 lines of 80 columns.
#
#   manual.sh GRADCAM.1 TOOL
set -uo pipefail
page=$(realpath "$1") tool=$(realpath "$2")
failures=0
complain() {
    echo "$*"
    failures=$((failures + 1))
}

overview=$("$tool" --help)
[ "$(wc -l <<<"$overview")" -le 23 ] || complain "gradcam --help has more than 23 lines"
[ "$(wc -L <<<"$overview")" -le 80 ] || complain "gradcam --help is wider than 80 columns"

plain=$(sed 's/\\-/-/g; s/\\f[BIR]//g' "$page")
commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' <<<"$overview")
count=0
for command in $commands; do
    grep -q "^\.B gradcam $command" <<<"$plain" || complain "no command $command in $page"
    [ "$command" = help ] && continue
    while read -r option; do
        count=$((count + 1))
        grep -qE -- "^(-., )?$option( |\[|\$)" <<<"$plain" || complain "no $option in $page"
    done < <("$tool" help "$command" | grep -oE '^  (-., |    )--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+')
done
[ $count -gt 10 ] || complain "only $count options are known"
for code in 0 2 13; do
    grep -q "^\.B $code\$" <<<"$plain" || complain "no exit code $code in $page"
done

if command -v man >/dev/null; then
    found=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
    [ -z "$found" ] || complain "man: $found"
else
    echo "man is not installed: the page is not laid out"
fi
[ $failures -eq 0 ] && echo "manual: $count options, as the tool's help has them"
exit $((failures > 0))
