"""Strangers' text in a Markdown page: it is shown as it is, and can neither end its place nor become HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPECIAL = re.compile(r"[\\`*_\[\]|~$]")
_FENCE = re.compile(r"```[A-Za-z0-9_+-]{0,30}")
_RULE = re.compile(r" *(?:=+|-[ -]*) *")
_HEADING = re.compile(r"( {0,3})(#{1,6})( .*)?")
_START = re.compile(r"^([0-9]{0,9})([#+=.)-])")
_NESTED_HEADING = re.compile(r"^((?: *(?:>|[-+*]|[0-9]{1,9}[.)]))+ *)#")
# What begins HTML, an entity (which could stand for any other sign), or a link to what is no page.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#|[A-Za-z][A-Za-z0-9]*;)")
_LINK = re.compile(r"\](?=\((?!https?://|mailto:|#)|:|\[)")


def inline(text: object) -> str:
    """Plain text within a line."""
    line = " ".join(_CONTROL.sub(" ", str(text)).split())
    escaped = _SPECIAL.sub(r"\\\g<0>", line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def paragraph(text: object) -> str:
    """Plain text as a paragraph of one line."""
    return _START.sub(lambda match: f"{match[1]}\\{match[2]}", inline(text))


def code(text: object) -> str:
    """Plain text within a line, set as code."""
    line = " ".join(_CONTROL.sub(" ", str(text)).split())
    if not line or "|" in line or "\\" in line:  # either can end the cell of a table, also in code
        return inline(line)
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if "`" in line else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def block(text: str) -> str:
    """Markdown that somebody else wrote, as a part of a page.

    Emphasis, lists, tables, code and links to pages stay. Headings come below those of the page, pictures become links,
    HTML is shown and not obeyed, and code that was never ended ends here.
    """
    lines = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4).split("\n")
    shown: list[str] = []
    is_code = False
    for line in lines:
        # Only a fence that begins at the margin is one: there is no doubt where it ends, for any reader.
        if line.rstrip() == "```" or (not is_code and _FENCE.fullmatch(line.rstrip())):
            is_code = not is_code
            shown.append(line.rstrip())
        elif is_code:  # any other fence would end it as well, unless it stands as far from the margin as this
            shown.append(f"    {line.lstrip()}" if line.lstrip().startswith("```") else line)
        else:
            shown.append(_line(line))
    if is_code:
        shown.append("```")
    return "\n".join(shown).strip("\n")


def _line(line: str) -> str:
    # By entities, not by backslashes: one that stands there already would undo another.
    line = _TAG.sub("&lt;", _ENTITY.sub("&amp;", line))
    line = _LINK.sub("&#93;", line.replace("![", "&#33;["))
    line = line.replace("```", "&#96;&#96;&#96;").replace("~~~", "&#126;&#126;&#126;")
    line = _NESTED_HEADING.sub(r"\1&#35;", line)
    if _RULE.fullmatch(line):
        return f"\\{line.strip()}"
    heading = _HEADING.fullmatch(line)
    if heading is not None:
        return f"{'#' * max(len(heading[2]), 3)}{heading[3] or ''}"
    return line


def fenced(text: str, language: str = "") -> str:
    """Text as a block of code of its own."""
    plain = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip("\n")
    ticks = "`" * max(3, max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    return f"{ticks}{language}\n{plain}\n{ticks}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that were escaped before."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
