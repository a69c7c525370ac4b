#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need, builds, checks and tests everything. Ends with one line
#   N passed, N failed, N skipped
# and a non-zero exit code if anything failed. Logs are in build-test/logs.
#
#   ./test.sh              everything that can be tried in this tree
#   ./test.sh all          that, and the stage bare, as CI does
#   ./test.sh bare         both commands of the README in a minimal Debian; needs root, downloads it
#                          BARE_SUITES="bookworm trixie": in which; default bookworm
#   ./test.sh NAME...      only these stages (see the list at the end of this file)
#   NO_SETUP=1 ./test.sh   without installing packages
set -uo pipefail
cd "$(dirname "$0")"

top=build-test
logs=$top/logs
passed=0 failed=0 skipped=0
failures=()
mkdir -p "$logs"

heading() { printf '\n==== %s ====\n' "$*"; }

# result NAME CODE: 0 passed, 77 skipped, anything else failed.
result() {
    case $2 in
        0) passed=$((passed + 1)); echo "ok: $1" ;;
        77) skipped=$((skipped + 1)); echo "skipped: $1" ;;
        *) failed=$((failed + 1)); failures+=("$1"); echo "FAILED: $1" ;;
    esac
}

# check NAME COMMAND...: one check; its output is shown if it fails.
check() {
    local name=$1 log code=0
    shift
    log=$logs/${name//[ \/]/-}.log
    "$@" >"$log" 2>&1 || code=$?
    [ $code -eq 0 ] && tail -n 1 "$log" || tail -n 60 "$log"
    result "$name" $code
    return $code
}

c_files() { find include src examples tests bench -name '*.[ch]' | sort; }

# missing WHAT: for checks that are skipped.
missing() {
    echo "no $1"
    return 77
}

# ---- Checks that need no build ---------------------------------------------------------------

format() {
    local tool
    tool=$(command -v clang-format-14 || command -v clang-format) || { echo "no clang-format"; return 77; }
    # Other versions lay some lines out differently.
    [[ $("$tool" --version) == *"version 14."* ]] || { echo "clang-format is not version 14"; return 77; }
    c_files | xargs "$tool" --dry-run -Werror
}

header() {
    local flags=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude)
    echo '#include "gradcam.h"' | gcc -std=c11 "${flags[@]}" -x c - &&
        echo '#include "gradcam.h"' | g++ -std=c++17 "${flags[@]}" -x c++ -
}

stage_checks() {
    heading "Checks of the source"
    check "format" format
    check "folder rule" python3 tools/check_folders.py
    check "style" python3 tools/check_style.py
    check "packaging" python3 tools/check_packaging.py
    check "API reference" python3 tools/make_api_docs.py --check
    check "links in the documentation" python3 tools/check_links.py
    check "header alone as C11 and C++17" header
}

# ---- Builds ----------------------------------------------------------------------------------

# build NAME CC OPTIONS...: configures and compiles build-test/NAME; only `targets`, where there are any.
targets=()
build() {
    local folder=$top/$1 compiler=$2
    shift 2
    if [ -f "$folder/build.ninja" ]; then
        meson configure "$folder" "$@" >/dev/null || return 1
    else
        CC=$compiler meson setup "$folder" "$@" || return 1
    fi
    meson compile -C "$folder" "${targets[@]}"
}

stage_gcc() {
    heading "Release build, gcc, warnings as errors"
    check "build with gcc" build release gcc -Dwerror=true
}

stage_clang() {
    heading "Release build, clang, warnings as errors"
    check "build with clang" build clang clang -Dwerror=true
}

tidy() {
    command -v run-clang-tidy >/dev/null || { echo "no clang-tidy"; return 77; }
    local root
    root=$(pwd)
    # Generated code lies in the build folder and is left out.
    run-clang-tidy -quiet -p "$top/clang" "^$root/(src|examples|tests)/" >"$logs/tidy-full.log" 2>&1
    local code=$?
    # One line a finding; how the analyser came to it is in the full log.
    sed 's/\x1b\[[0-9;]*m//g' "$logs/tidy-full.log" | grep -E '(error|warning): ' | sort -u
    return $code
}

stage_tidy() {
    heading "clang-tidy"
    check "clang-tidy" tidy
}

# ---- Tests -----------------------------------------------------------------------------------

# count_tests LOG: adds the results of a run of meson test.
count_tests() {
    local counts
    counts=$(python3 - "$1" <<'PYTHON'
import json
import sys

good, bad, skipped = 0, [], 0
try:
    for line in open(sys.argv[1], encoding="utf-8"):
        test = json.loads(line)
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            good += 1
        elif test["result"] == "SKIP":
            skipped += 1
        else:
            bad.append(test["name"])
            print(f"--- {test['name']}: {test['result']}", file=sys.stderr)
            print((test.get("stdout") or "")[-6000:], file=sys.stderr)
            print((test.get("stderr") or "")[-6000:], file=sys.stderr)
except OSError:
    bad.append("meson test")
print(good, len(bad), skipped)
PYTHON
    )
    read -r good bad left <<<"$counts"
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
    [ "$bad" -eq 0 ] || failures+=("$bad tests of $2")
    echo "$good passed, $bad failed, $left skipped here"
}

# run_tests NAME FOLDER OPTIONS...: one run of meson test.
run_tests() {
    local name=$1 folder=$top/$2
    shift 2
    rm -f "$folder/meson-logs/$name"*.json
    meson test -C "$folder" --no-rebuild --logbase "$name" --print-errorlogs "$@" >"$logs/$name.log" 2>&1
    grep -E '^ *[0-9]+/[0-9]+ .*SKIP' "$logs/$name.log"
    # Under a wrapper, Meson puts its name behind ours.
    count_tests "$(find "$folder/meson-logs" -name "$name*.json" | head -n 1)" "$name"
}

stage_test() {
    heading "Tests in the release build"
    run_tests tests release
}

stage_sanitize() {
    heading "Tests with the address and undefined behaviour sanitizers"
    local root
    root=$(pwd)
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99
    export LSAN_OPTIONS=suppressions=$root/tests/suppressions/leaks.txt:print_suppressions=0
    check "build with sanitizers" build sanitize gcc -Dbuildtype=debugoptimized \
        -Db_sanitize=address,undefined -Db_ndebug=false -Db_lundef=false &&
        run_tests sanitizers sanitize --no-suite oracle --no-suite endurance --timeout-multiplier 8
    unset ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
}

# Races between threads of the caller's, and within the library's own parallel loops: LLVM's OpenMP
# tells the sanitizer what waits for what (archer), also for oneDNN's loops, whose OpenMP it becomes.
# What oneDNN computes in them is not seen.
stage_threads() {
    heading "Tests with the thread sanitizer"
    local archer
    local tests=(threads api numerics request crew stored)
    archer=$(clang -print-resource-dir 2>/dev/null)/../../libarcher.so
    if [ ! -e "$archer" ]; then
        check "thread sanitizer" missing "clang's libarcher.so, of libomp-dev"
        return
    fi
    export OMP_TOOL_LIBRARIES=$archer OMP_WAIT_POLICY=passive
    export TSAN_OPTIONS=ignore_noninstrumented_modules=1:exitcode=99
    targets=("${tests[@]/#/test_}")
    check "build with the thread sanitizer" build threads clang -Dbuildtype=debugoptimized \
        -Db_sanitize=thread -Db_ndebug=false -Db_lundef=false &&
        run_tests threads threads "${tests[@]}" --timeout-multiplier 8
    targets=()
    unset OMP_TOOL_LIBRARIES OMP_WAIT_POLICY TSAN_OPTIONS
}

stage_valgrind() {
    heading "Tests under valgrind"
    local options root
    root=$(pwd)
    options="--quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect"
    # What is no error is not shown, either: in a process killed by a signal, stacks of threads that
    # still run are "possibly lost", and the test compares what stderr says.
    options+=" --show-leak-kinds=definite,indirect"
    options+=" --suppressions=$root/tests/suppressions/valgrind.txt"
    # One thread: valgrind runs one at a time anyhow, and spinning ones would starve it.
    export OMP_NUM_THREADS=1
    check "build for valgrind" build valgrind gcc -Dbuildtype=debugoptimized -Db_ndebug=false &&
        run_tests valgrind-unit valgrind --suite unit --suite fuzz --timeout-multiplier 40 \
            --wrap "valgrind $options" &&
        GRADCAM_WRAP="valgrind $options" run_tests valgrind-cli valgrind --suite cli \
            --timeout-multiplier 40
    unset OMP_NUM_THREADS
}

# The oracle tests that reach what the others do not, and are quick.
coverage_oracles=(structure tokens targets exporters cam)

# All but those: a limit on the size of files cuts counters short, too.
coverage_tests() {
    meson test -C "$1" --list --no-suite oracle --no-suite endurance --no-suite packaging 2>/dev/null |
        sed -n 's,^.* / ,,p' | grep -vx 'cli error-file-limit'
}

stage_coverage() {
    heading "What the tests run: lines and branches"
    local tests
    # One thread: counters are not atomic. What the counters' library has to say is no output of ours.
    export OMP_NUM_THREADS=1 GCOV_ERROR_FILE=$PWD/$logs/gcov.log
    if check "build for coverage" build coverage gcc -Dbuildtype=custom -Doptimization=1 -Ddebug=true \
        -Db_coverage=true -Db_ndebug=true; then
        find "$top/coverage" -name '*.gcda' -delete
        mapfile -t tests < <(coverage_tests "$top/coverage")
        run_tests coverage-tests coverage "${tests[@]}" "${coverage_oracles[@]}" --timeout-multiplier 4
        check "coverage" tools/coverage.py "$top/coverage"
        sed '$d' "$logs/coverage.log"
    fi
    unset OMP_NUM_THREADS GCOV_ERROR_FILE
}

# ---- Packages and bare machines ----------------------------------------------------------------

stage_package() {
    heading "Debian packages"
    check "Debian packages" tests/packaging/debian.sh
}

stage_bare() {
    heading "Both commands in a minimal Debian"
    local suite
    for suite in ${BARE_SUITES:-bookworm}; do
        check "bare $suite" tests/bare/run.sh "$suite" "${BARE_JOB:-both}"
        grep '^bare:' "$logs/bare-$suite.log"
    done
}

# ---- All -------------------------------------------------------------------------------------

stages=(checks gcc clang tidy test sanitize threads valgrind coverage package)
case $* in
    "") ;;
    all) stages+=(bare) ;;
    *) stages=("$@") ;;
esac
if [ -z "${NO_SETUP:-}" ]; then
    heading "Packages"
    ./setup.sh --tests || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
fi
for stage in "${stages[@]}"; do
    "stage_$stage"
done

heading "Result"
[ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
