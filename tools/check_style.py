#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What clang-format does not see: licence lines, stray white space, lengths.

A function of more than 60 lines is warned of, one of more than 100 fails; so does a file of more
than 700 lines. Counted from the line of the opening brace to that of the closing one.
"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ["include", "src", "examples", "tests", "tools", "bench", ".ci"]
CODE = {".c", ".h", ".py", ".sh"}
TEXT = CODE | {".md", ".build", ".txt"}
# Material, not code: expectations and fixtures are compared byte by byte.
SKIPPED = {"tests/fixtures", "tests/cli/cases"}
FUNCTION_WARNING, FUNCTION_LIMIT, FILE_LIMIT = 60, 100, 700


def files():
    candidates = [p for p in ROOT.iterdir() if p.is_file()]
    for folder in FOLDERS:
        candidates += (ROOT / folder).rglob("*")
    for path in sorted(candidates):
        name = path.relative_to(ROOT).as_posix()
        is_script = path.suffix == "" and name.startswith(".ci/")
        if (
            path.is_file()
            and (path.suffix in TEXT or is_script)
            and not any(name.startswith(s + "/") for s in SKIPPED)
        ):
            yield path, name, path.suffix in CODE or is_script


def check_text(name, text, is_code):
    lines = text.split("\n")
    if text and not text.endswith("\n"):
        yield f"{name}:{len(lines)}: no newline at the end"
    if text and is_code and not any("SPDX-License-Identifier: Apache-2.0" in s for s in lines[:3]):
        yield f"{name}:1: no SPDX line"
    for number, line in enumerate(lines, 1):
        if "\t" in line:
            yield f"{name}:{number}: a tab"
        if line != line.rstrip():
            yield f"{name}:{number}: blanks at the end of the line"
    if is_code and len(lines) - 1 > FILE_LIMIT:
        yield f"{name}: {len(lines) - 1} lines, more than {FILE_LIMIT}"


def functions(text):
    """Line of the opening brace and length of each C function, as clang-format lays them out."""
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield start, number - start + 1
            start = None


def main():
    errors, warnings, lengths = [], [], []
    count = 0
    for path, name, is_code in files():
        text = path.read_text(encoding="utf-8")
        count += 1
        errors += check_text(name, text, is_code)
        if path.suffix not in (".c", ".h"):
            continue
        for line, length in functions(text):
            lengths.append(length)
            where = f"{name}:{line}: a function of {length} lines"
            if length > FUNCTION_LIMIT:
                errors.append(where)
            elif length > FUNCTION_WARNING:
                warnings.append(f"{where} (warning)")
    print("\n".join(errors + warnings))
    if lengths:
        lengths.sort()
        print(
            f"style: {count} files, {len(lengths)} functions, median {lengths[len(lengths) // 2]} "
            f"lines, longest {lengths[-1]}; {len(errors)} errors, {len(warnings)} warnings"
        )
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
