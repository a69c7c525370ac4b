#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Completion in bash: what is offered for a command line. In zsh: the script is loaded and asked for
# the same where zsh is installed.
#
#   completion.sh BASH_COMPLETION ZSH_COMPLETION TOOL
set -uo pipefail
script=$(realpath "$1") zsh_script=$(realpath "$2") tool=$(realpath "$3")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
mkdir "photos of cats"
touch model.onnx other.ONNX cat.jpg "white dog.PNG" notes.txt labels.txt
failures=0

# ---- Bash --------------------------------------------------------------------------------------

# shellcheck source=/dev/null
source "$script"
complete -p gradcam >/dev/null || exit 1

# offers EXPECTED WORD...: the last word is being typed; EXPECTED is sorted, with | between.
offers() {
    local expected=$1 found
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _gradcam
    found=$(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd '|')
    if [ "$found" != "$expected" ]; then
        echo "bash: ${*@Q}: offered '$found', expected '$expected'"
        failures=$((failures + 1))
    fi
}

commands=$("$tool" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | LC_ALL=C sort | paste -sd '|')
offers "--help|--version|$commands" gradcam ''
offers 'explain' gradcam e
offers "$commands" gradcam help ''
offers 'model.onnx|other.ONNX|photos of cats' gradcam explain ''
offers 'cat.jpg|photos of cats|white dog.PNG' gradcam explain model.onnx ''
offers 'cat.jpg|photos of cats|white dog.PNG' gradcam explain --class tabby -q model.onnx ''
offers 'cat.jpg|photos of cats|white dog.PNG' gradcam explain --class = tabby model.onnx ''
offers 'model.onnx|other.ONNX|photos of cats' gradcam explain --json ''
offers 'cat.jpg' gradcam explain model.onnx --json = c
offers 'labels.txt' gradcam explain model.onnx --labels la
offers 'labels.txt' gradcam explain model.onnx --labels = la
offers 'cat.jpg' gradcam explain model.onnx -o ca
offers 'caffe' gradcam classify model.onnx --preset ca
offers 'caffe|raw|tf|timm|torchvision|unit' gradcam classify model.onnx --preset =
offers '' gradcam explain model.onnx --alpha ''
offers '' gradcam layers model.onnx ''
offers '--alpha' gradcam explain model.onnx --al
for command in ${commands//|/ }; do
    [ "$command" = help ] && continue
    options=$("$tool" help "$command" | grep -oE '^  (-., |    )--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+' |
        LC_ALL=C sort | paste -sd '|')
    [ -n "$options" ] || { echo "no options of $command"; failures=$((failures + 1)); }
    offers "$options" gradcam "$command" --
done

# A word that is offered is one that is taken: then it is the model that is missing.
takes_all() {
    local option=$1 word count=0
    COMP_WORDS=(gradcam explain "$option" '') COMP_CWORD=3
    _gradcam
    for word in "${COMPREPLY[@]}"; do
        count=$((count + 1))
        "$tool" explain "$option" "$word" missing.onnx cat.jpg >/dev/null 2>"$folder/said"
        [ $? -eq 3 ] || { echo "$option $word: $(cat "$folder/said")"; failures=$((failures + 1)); }
    done
    [ $count -ge 3 ] || { echo "$option: only $count words"; failures=$((failures + 1)); }
}
takes_all --preset
takes_all --resize
takes_all --colormap
takes_all --npy-kind

# ---- Zsh ---------------------------------------------------------------------------------------

# zsh_lists LINE WORD: what an interactive zsh in a pseudo-terminal lists for a line; waits for WORD.
zsh_lists() {
    zsh -f <<ZSH
zmodload zsh/zpty
zpty shell 'TERM=dumb PS1= zsh -f -i'
zpty -w shell "fpath=(\$(dirname '$zsh_script') \\\$fpath); autoload -Uz compinit; compinit -u -d '$folder/dump'"
zpty -w shell "zstyle ':completion:*' list-colors; zstyle ':completion:*' list-max 0; LISTMAX=9999; LINES=200; COLUMNS=150; unsetopt beep zle_bracketed_paste 2>/dev/null"
zpty -w shell "cd '$folder'; print READY-\$((40 + 2))"
zpty -r -m shell first '*READY-42*'
zpty -w -n shell "$1"\$'\t\t'
for i in {1..80}; do
    while zpty -r -t shell more; do text+=\$more; done
    [[ \$text == *"$2"* ]] && break
    sleep 0.25
done
sleep 0.5
while zpty -r -t shell more; do text+=\$more; done
print -r -- "\$text"
zpty -d shell
ZSH
}

zsh_offers() {
    local line=$1 word text
    shift
    text=$(zsh_lists "$line" "$1" 2>&1)
    for word; do
        if ! grep -qF -- "$word" <<<"$text"; then
            echo "zsh: '$line': '$word' is not offered in: $text"
            failures=$((failures + 1))
        fi
    done
}

if command -v zsh >/dev/null; then
    zsh -n "$zsh_script" || failures=$((failures + 1))
    zsh_offers 'gradcam ' explain classify layers 'Write heat maps'
    zsh_offers 'gradcam explain --' --alpha --class --json 'Share of the heat'
    zsh_offers 'gradcam classify model.onnx --preset ' caffe timm torchvision
    zsh_offers 'gradcam explain model.onnx ' 'cat.jpg' 'white'
else
    echo "zsh is not installed: its completion is not tried"
fi

[ $failures -eq 0 ] && echo "completion: as expected"
exit $((failures > 0))
