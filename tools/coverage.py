#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How much of src/ the tests have run, folder by folder: lines and branches, from GCC's counters.

  coverage.py BUILD             the table; fails where a folder of LEAST has fewer lines than that
  coverage.py BUILD --missing   also the lines that have not been run, file by file

BUILD is a build folder of Meson's, configured with -Db_coverage=true, whose tests have run.
"""
import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Per cent of lines.
LEAST = {"engine": 90, "onnx": 90, "graph": 90, "cam": 90, "ops": 90, "passes": 90}


def reports(build):
    """What gcov says about each file of counters."""
    for counters in sorted(build.rglob("*.gcda")):
        done = subprocess.run(
            ["gcov", "--json-format", "--stdout", "--branch-probabilities", counters],
            cwd=build, capture_output=True, check=True)
        for line in done.stdout.splitlines():
            yield from json.loads(line)["files"]


def name_of(build, report):
    """The name below src/, None for other files and for generated ones."""
    path = (build / report["file"]).resolve()
    source = ROOT / "src"
    return path.relative_to(source).as_posix() if path.is_relative_to(source) else None


def count(build):
    """{file: {line: runs}}, {file: {(line, branch): runs}}. Headers are counted once, by all users."""
    lines = collections.defaultdict(collections.Counter)
    branches = collections.defaultdict(collections.Counter)
    for report in reports(build):
        name = name_of(build, report)
        for line in report["lines"] if name else []:
            number = line["line_number"]
            lines[name][number] += line["count"]
            for index, branch in enumerate(line["branches"]):
                branches[name][number, index] += branch["count"]
    return lines, branches


def share(counters):
    """(how many were run, of how many, per cent)"""
    run = sum(value > 0 for value in counters)
    return run, len(counters), 100 * run / len(counters) if counters else 100.0


def print_missing(lines):
    for name, counter in sorted(lines.items()):
        missing = [str(number) for number, runs in sorted(counter.items()) if runs == 0]
        if missing:
            print(f"src/{name}: {' '.join(missing)}")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    lines, branches = count(build)
    if not lines:
        sys.exit(f"{build}: no counters; configure with -Db_coverage=true and run the tests")
    if "--missing" in sys.argv[2:]:
        print_missing(lines)
    failures = []
    print("folder      lines              branches")
    for folder in sorted({name.split("/")[0] for name in lines}):
        of = [name for name in lines if name.split("/")[0] == folder]
        run, all_, percent = share([runs for name in of for runs in lines[name].values()])
        taken = share([runs for name in of for runs in branches[name].values()])
        print(f"{folder:8} {run:5} of {all_:5} {percent:5.1f} % {taken[0]:5} of {taken[1]:5} "
              f"{taken[2]:5.1f} %")
        if percent < LEAST.get(folder, 0):
            failures.append(f"src/{folder}: {percent:.1f} % of the lines are run by the tests; at "
                            f"least {LEAST[folder]} % have to be (--missing lists the others)")
    run, all_, percent = share([runs for counter in lines.values() for runs in counter.values()])
    taken = share([runs for counter in branches.values() for runs in counter.values()])
    print("\n".join(failures) or
          f"coverage: {percent:.1f} % of {all_} lines, {taken[2]:.1f} % of {taken[1]} branches")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
