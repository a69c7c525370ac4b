#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every relative link in every Markdown file leads to a file that is there, and every anchor to a
heading, as GitHub names them. Every page of docs/ can be reached from docs/README.md."""
import functools
import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^( {0,3})(```+|~~~+).*?^ {0,3}\2[`~]*$", re.S | re.M)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^()\s<>]+(?:\([^()\s]*\)[^()\s]*)?)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)", re.M)
HTML = re.compile(r"<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset|name|id)=\"([^\"]+)\"", re.I)


def markdown_files():
    """Of the project: also those not yet committed, but nothing that is ignored."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others",
               "--exclude-standard", "*.md"]
    try:
        names = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
        return sorted(ROOT / name for name in names if name and (ROOT / name).exists())
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        return sorted(path for path in ROOT.rglob("*.md")
                      if not path.relative_to(ROOT).parts[0].startswith("build"))


def without_code(text):
    """Code replaced by nothing, lines kept."""
    text = FENCE.sub(lambda m: "\n" * m.group(0).count("\n"), text)
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "``", text, flags=re.S)


def slug(heading):
    """The anchor of a heading as GitHub makes it."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().rstrip("#").strip())
    heading = heading.replace("`", "").replace("*", "").lower()
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")


@functools.lru_cache(maxsize=None)
def anchors(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    found = set(re.findall(r"<[^>]*\b(?:id|name)=\"([^\"]+)\"", text))
    counts = {}
    for heading in re.findall(r"^ {0,3}#{1,6}\s+(.+)$", text, re.M):
        name = slug(heading)
        seen = counts.get(name, 0)
        counts[name] = seen + 1
        found.add(f"{name}-{seen}" if seen else name)
    return found


def links(path):
    """(line, target) of each link of a file."""
    text = without_code(path.read_text(encoding="utf-8"))
    for pattern in (LINK, REFERENCE, HTML):
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, match.group(1)


def is_elsewhere(target):
    return re.match(r"[a-z][a-z0-9+.-]*:", target) is not None


def resolve(path, target):
    """The file a link leads to, and the anchor in it or an empty string."""
    name, _, anchor = urllib.parse.unquote(target).partition("#")
    return ((path.parent / name).resolve() if name else path), anchor


def complaint(path, target):
    """What is wrong with a link, or None."""
    to, anchor = resolve(path, target)
    if not to.is_relative_to(ROOT):
        return "leads out of the project"
    if not to.exists():
        return "there is no such file"
    if anchor and to.suffix == ".md" and anchor not in anchors(to):
        return f"there is no heading #{anchor} in {to.relative_to(ROOT)}"
    return None


def unreached(files):
    """Pages of docs/ that nobody finds who starts at its index."""
    index = ROOT / "docs" / "README.md"
    reached, todo = set(), [index]
    while todo:
        page = todo.pop()
        if page in reached or page not in files:
            continue
        reached.add(page)
        todo += [resolve(page, target)[0] for _, target in links(page) if not is_elsewhere(target)]
    return [path for path in files if path.parent == index.parent and path not in reached]


def main():
    files, count, errors = markdown_files(), 0, []
    for path in files:
        for line, target in links(path):
            if is_elsewhere(target):
                continue
            count += 1
            found = complaint(path, target)
            if found:
                errors.append(f"{path.relative_to(ROOT)}:{line}: {target}: {found}")
    errors += [f"{path.relative_to(ROOT)}: not linked from docs/README.md or a page linked there"
               for path in unreached(files)]
    print("\n".join(errors + [f"links: {count} in {len(files)} files, {len(errors)} errors"]))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
