#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/api.md from include/gradcam.h, which is the only place where the API is described.

  make_api_docs.py            writes docs/api.md
  make_api_docs.py --check    complains if docs/api.md is not what it would write
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "gradcam.h"
PAGE = ROOT / "docs" / "api.md"

HEAD = """# The C API

Made from [include/gradcam.h](../include/gradcam.h) by `tools/make_api_docs.py`: change the header,
then run that. [examples/explain.c](../examples/explain.c) is a whole program; it is compiled with

    cc explain.c $(pkg-config --cflags --libs gradcam) -o explain
"""

# What is not for users: guards, and how functions are exported.
MACHINERY = re.compile(
    r"#ifndef GRADCAM_H\n#define GRADCAM_H\n|#ifdef __cplusplus\n.*?#endif\n"
    r"|#if defined\(__GNUC__\)\n.*?#endif\n|#include <.*?>\n|#endif\n*\Z|^/\* SPDX.*?\*/\n", re.S | re.M)
SECTION = re.compile(r"^/\* ---- (.+?) -+ \*/$", re.M)
# A declaration: a documentation comment or none, then lines up to an empty one outside braces.
COMMENT = re.compile(r"/\*\*(?!<)(.*?)\*/\n?", re.S)


class Item:
    """Some declarations under one documentation comment."""

    def __init__(self, comment, code):
        self.comment = comment
        self.code = code.strip("\n")
        self.names = declared_names(self.code)


def declared_names(code):
    names = [name for name in re.findall(r"^#define (\w+)", code, re.M)
             if f"#undef {name}\n" not in code]
    plain = re.sub(r"^#.*(?:\\\n.*)*", "", re.sub(r"/\*.*?\*/", "", code, flags=re.S), flags=re.M)
    outer = plain
    while re.search(r"\{[^{}]*\}", outer):
        outer = re.sub(r"\{[^{}]*\}", "", outer)
    for statement in outer.split(";"):
        found = (re.search(r"\(\*(\w+)\)", statement) or re.search(r"\b(gradcam_\w+)\s*\(", statement)
                 or re.search(r"\b(gradcam_\w+)\s*$", statement))
        if found:
            names.append(found.group(1))
    return list(dict.fromkeys(names))


def split_items(text):
    """The items of a section, in order."""
    at = 0
    while at < len(text):
        if text[at] == "\n":
            at += 1
            continue
        comment = COMMENT.match(text, at)
        start = comment.end() if comment else at
        at = end_of_code(text, start)
        yield Item(comment.group(1) if comment else "", text[start:at])


def end_of_code(text, start):
    depth, at = 0, start
    while at < len(text):
        if text.startswith("/*", at):
            at = text.index("*/", at) + 2
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0 and (text.startswith("\n\n", at) or COMMENT.match(text, at + 1)):
            return at + 1
        at += 1
    return at


# ---- Comments to Markdown ----------------------------------------------------------------------

def comment_lines(comment):
    """The lines of a comment without its decoration; indentation is kept."""
    for line in comment.strip("\n").split("\n"):
        yield re.sub(r"^ ?\* ?|^ {2,3}(?=\S)", "", line).rstrip()


def mark_up(text, links):
    """Code and links for names, and nothing that Markdown would take for its own."""
    def word(match):
        if match.group(0).startswith("`"):
            return match.group(0)
        name = match.group(0)
        return f"[`{name}`](#{links[name]})" if name in links else f"`{name}`"

    text = re.sub(r"([<>*])", r"\\\1", text)
    return re.sub(r"`[^`]*`|(?<![\w.])_?[A-Za-z]\w*_\w+(?:\.\w+)?|(?<![\w.])_[A-Z]+\b", word, text)


def paragraphs(lines):
    """(kind, lines) of text: 'code', 'list', '@param', '@return', 'text'."""
    kind, part = "text", []
    for line in [*lines, ""]:
        tag = re.match(r"(@param|@return)\b", line)
        starts = ("code" if line.startswith("    ") and kind in ("text", "code") and
                  (not part or kind == "code") else tag.group(1) if tag else
                  "list" if re.match(r" ?- ", line) else None)
        if (line == "" and kind != "code") or (starts and starts != "code") or \
                (kind == "code" and line and not line.startswith("    ")):
            if part:
                yield kind, part
            kind, part = starts or "text", [line] if line else []
        else:
            kind = starts if starts and not part else kind
            part.append(line)
    if any(part):
        yield kind, part


def render_comment(comment, links):
    out, last = [], None
    for kind, part in paragraphs(list(comment_lines(comment))):
        if kind == "code":
            block = "\n".join(line[4:] for line in part).strip("\n")
            out.append(f"\n```c\n{block}\n```")
        else:
            text = " ".join(line.strip() for line in part)
            if kind == "@param":
                _, name, rest = text.split(" ", 2)
                text = f"- `{name}` {mark_up(rest, links)}"
            elif kind == "@return":
                text = f"\nReturns {mark_up(text[len('@return '):], links)}"
            elif kind == "list":
                text = mark_up(text, links)
            else:
                text = "\n" + mark_up(text, links)
            if kind in ("@param", "list") and last != kind:
                text = "\n" + text
            out.append(text)
        last = kind
    return "\n".join(out).strip("\n")


# ---- The page ----------------------------------------------------------------------------------

def render_rows(code):
    """An X macro as a table."""
    rows = re.findall(r'X\((\w+), (\d+), "([^"]*)"\)', code)
    return "\n".join(["| name | value | meaning |", "|---|---|---|",
                      *(f"| `{name}` | {value} | {text} |" for name, value, text in rows)])


def heading(item):
    return ", ".join(item.names)


def anchor(item):
    return re.sub(r"[^\w\- ]", "", heading(item).lower()).replace(" ", "-")


def render_item(item, links):
    parts = [f"### {heading(item)}"]
    if item.comment:
        parts.append(render_comment(item.comment, links))
    if re.search(r"\bX\(", item.code) and item.code.startswith("#define"):
        parts.append(render_rows(item.code))
    else:
        # Further lines of arguments move with the first.
        code = re.sub(r"\bGRADCAM_API(\s+)([^;]*;)",
                      lambda m: m.group(2) if m.group(1) == "\n" else
                      m.group(2).replace("\n" + " " * len("GRADCAM_API "), "\n"), item.code)
        parts.append(f"```c\n{code}\n```")
    return "\n\n".join(parts)


def make_page(header):
    head, *rest = SECTION.split(MACHINERY.sub("", header))
    sections = [(title, list(split_items(body))) for title, body in zip(rest[::2], rest[1::2])]
    links = {name: anchor(item) for _, items in sections for item in items for name in item.names}
    out = [HEAD, render_comment(COMMENT.search(head).group(1), links), "\n## Contents\n"]
    for title, items in sections:
        names = ", ".join(f"[`{name}`](#{anchor(item)})" for item in items for name in item.names)
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        out.append(f"- [{title}](#{slug}): {names}")
    for title, items in sections:
        out.append(f"\n## {title}\n")
        out.append("\n\n".join(render_item(item, links) for item in items))
    return "\n".join(out) + "\n"


def main():
    page = make_page(HEADER.read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
            print("docs/api.md is not made from include/gradcam.h as it is; run tools/make_api_docs.py")
            return 1
        print(f"docs/api.md: as include/gradcam.h, {page.count(chr(10) + '### ')} entries")
        return 0
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
