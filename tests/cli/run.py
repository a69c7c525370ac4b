#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of the command-line tool; README.md in this folder says how to write one.

  run.py TOOL                  all cases, with a summary
  run.py TOOL --case NAME      one case; exit code 77: skipped
  run.py TOOL --update [NAME]  rewrites the expectations from what the tool does now
  run.py --list                the names of the cases
"""
import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CASES = HERE / "cases"
FIXTURES = ROOT / "tests" / "fixtures" / "cli"
SKIPPED = 77


def names():
    return sorted(p.stem for p in CASES.glob("*.sh"))


def shared_folder():
    return pathlib.Path(os.environ.get("GRADCAM_SHARED", ROOT.parent / "shared"))


def make_tool_folder(folder, tool):
    """A folder for PATH with `gradcam` in it, wrapped as GRADCAM_WRAP asks ("valgrind -q")."""
    folder.mkdir()
    script = folder / "gradcam"
    wrap = os.environ.get("GRADCAM_WRAP", "")
    script.write_text(f'#!/bin/sh\nexec {wrap} "{tool}" "$@"\n')
    script.chmod(0o755)


def readable(output):
    """Text in which the paths of this machine have become the names of variables."""
    text = output.decode("utf-8", "replace")
    text = text.replace(str(FIXTURES), "$FIXTURES")
    return text.replace(str(shared_folder()), "$GRADCAM_SHARED")


def run_case(name, tool):
    """(exit code, stdout, stderr) of one case in a fresh folder."""
    with tempfile.TemporaryDirectory(prefix="gradcam-cli-") as top:
        top = pathlib.Path(top)
        work = top / "work"
        work.mkdir()
        make_tool_folder(top / "bin", tool)
        environment = {
            **os.environ,
            "PATH": f"{top / 'bin'}:{HERE}:{os.environ['PATH']}",
            "FIXTURES": str(FIXTURES),
            "GRADCAM_SHARED": str(shared_folder()),
            "LC_ALL": "C.UTF-8",
            "HOME": str(work),
        }
        done = subprocess.run(
            ["sh", "-eu", str(CASES / f"{name}.sh")],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
        )
    return done.returncode, readable(done.stdout), readable(done.stderr)


def glob_to_regex(pattern):
    """A line "..." stands for any lines, "*" in a line for any characters; the rest is literal."""
    parts = []
    for line in pattern.splitlines(keepends=True):
        if line.rstrip("\n") == "...":
            parts.append(r"(?:[^\n]*\n)*")
        else:
            parts.append(".*".join(re.escape(piece) for piece in line.split("*")))
    return "".join(parts)


def expectation(name, stream):
    """(text, is it a pattern); a missing file means: nothing."""
    exact, glob = CASES / f"{name}.{stream}", CASES / f"{name}.{stream}.glob"
    if glob.exists():
        return glob.read_text(encoding="utf-8"), True
    return (exact.read_text(encoding="utf-8") if exact.exists() else ""), False


def matches(actual, expected, is_glob):
    if is_glob:
        return re.fullmatch(glob_to_regex(expected), actual) is not None
    return actual == expected


def expected_exit(name):
    path = CASES / f"{name}.exit"
    return int(path.read_text()) if path.exists() else 0


def differences(name, code, outputs):
    """What is not as expected, as lines."""
    if code != expected_exit(name):
        yield f"exit code {code}, expected {expected_exit(name)}"
    for stream, actual in outputs.items():
        expected, is_glob = expectation(name, stream)
        if not matches(actual, expected, is_glob):
            yield from difflib.unified_diff(
                expected.splitlines(),
                actual.splitlines(),
                f"{name}.{stream}{'.glob' if is_glob else ''}",
                f"{stream} of this run",
                lineterm="",
            )


def write_or_remove(path, text):
    if text:
        path.write_text(text, encoding="utf-8")
    elif path.exists():
        path.unlink()


def update(name, code, outputs):
    write_or_remove(CASES / f"{name}.exit", f"{code}\n" if code else "")
    for stream, actual in outputs.items():
        expected, is_glob = expectation(name, stream)
        if not is_glob:
            write_or_remove(CASES / f"{name}.{stream}", actual)
        elif not matches(actual, expected, True):
            print(f"{name}.{stream}.glob does not match and has to be edited by hand")


def judge(name, tool, is_update):
    """0 passed, 1 failed, SKIPPED."""
    script = (CASES / f"{name}.sh").read_text(encoding="utf-8")
    if "# needs: shared" in script and not shared_folder().is_dir():
        print(f"skipped {name}: {shared_folder()} (GRADCAM_SHARED) is not there")
        return SKIPPED
    code, stdout, stderr = run_case(name, tool)
    outputs = {"stdout": stdout, "stderr": stderr}
    if is_update:
        update(name, code, outputs)
    found = list(differences(name, code, outputs))
    if found:
        print(f"FAILED {name}")
        print("\n".join("  " + line for line in found))
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", nargs="?", type=pathlib.Path)
    parser.add_argument("--case")
    parser.add_argument("--update", nargs="?", const="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(names()))
        return 0
    if not options.tool:
        parser.error("the path of the tool is missing")
    chosen = options.case or (options.update if options.update != "*" else None)
    results = [
        judge(name, options.tool.resolve(), options.update is not None)
        for name in ([chosen] if chosen else names())
    ]
    if options.case:
        return results[0]
    failed, skipped = results.count(1), results.count(SKIPPED)
    print(f"{len(results) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
