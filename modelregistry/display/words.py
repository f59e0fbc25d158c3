"""Values as words: cells, sizes, times, and strangers' text without what could write to a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from modelregistry.display.view import Badge, Code, Look, Size

Item = TypeVar("Item")
LONGEST = 400
"""Characters of one value that are shown."""
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_JOINERS = "\u200c\u200d"
"""Invisible, and needed: they join the parts of an emoji and of words in some scripts."""
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What no picture may hold, or what turns the direction of writing there."""
_DIGEST = re.compile(r"([a-z0-9-]+:)?([0-9a-f]{12})[0-9a-f]{20,}(\.dir)?")
_AGES = ((365 * 86_400, "year"), (30 * 86_400, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute"))
_COMMON: Mapping[str, Look] = {
    "current": "good", "identical": "good", "within tolerance": "good", "better": "good", "granted": "good",
    "withdrawn": "bad", "different": "bad", "missing": "bad", "lose": "bad", "worse": "bad", "removed": "bad",
    "inactive": "plain", "recorded": "plain", "present": "plain",
}  # fmt: skip


def clean(text: str) -> str:
    """Strangers' text in one line: what is invisible, turns the direction of writing or steers a terminal is written out."""
    text = " ".join(text.split())
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in _JOINERS else _written_out(each) for each in text)


def lines(text: str) -> str:
    """The same, where lines keep their form."""
    return "\n".join(
        "".join(each if each.isprintable() or each in _JOINERS else _written_out(each) for each in line)
        for line in text.expandtabs(4).split("\n")
    )


def shortened(text: str, most: int = LONGEST) -> str:
    """The beginning of what is too long, and how much more there is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def text_of(value: object) -> str:
    """A value as people read it, in one line."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return number(value)
        case Badge(text=text) | Code(text=text):
            return shortened(clean(text))
        case Size(size=size):
            return size_of(size)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case Mapping():
            return shortened(
                ", ".join(f"{clean(str(key))}: {text_of(item)}" for key, item in _few(value.items()))
            )
        case tuple() | list() | set() | frozenset():
            return shortened(", ".join(text_of(item) for item in _few(value)))
        case _ if hasattr(type(value), "_line"):
            return name_of(value)
        case _:
            return shortened(clean(str(value)))


def name_of(value: object) -> str:
    """What an object of ours is called where it is one of several: a version by its reference; else what it is in a line."""
    for attribute in ("reference", "name", "source", "what", "path"):
        for each in (value, getattr(value, "version", None)):  # what was found is called as its version
            if isinstance(name := getattr(each, attribute, None), str) and name:
                return shortened(clean(name))
    return shortened(clean(str(value)))


def number(value: float) -> str:
    """A number with as many digits as say something."""
    return f"{value:.6g}" if abs(value) < 1_000_000 else str(value)


def size_of(size: int) -> str:
    """Bytes, in the unit that fits."""
    amount = float(size)
    for unit in _UNITS:
        if amount < 999.5 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{size} B" if unit == "B" else f"{amount:.3g} {unit}"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago something was, in the unit that fits."""
    if moment.tzinfo is None:
        return ""
    passed = ((now or datetime.now(UTC)) - moment).total_seconds()
    for length, unit in _AGES:
        if abs(passed) >= length:
            count = int(abs(passed) // length)
            told = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{told} ago" if passed > 0 else f"in {told}"
    return "just now"


def short_digest(text: str) -> str:
    """The beginning of a digest; other text as it is."""
    found = _DIGEST.fullmatch(text)
    return f"{found[1] or ''}{found[2]}…{found[3] or ''}" if found else text


def look_of(word: str, *, other: Look = "plain") -> Look:
    """How a word that is known to stand out looks."""
    return _COMMON.get(word, other)


def state(word: str) -> Badge:
    """The badge of a state or a stage; a stage that this library does not know is one that a team uses."""
    return Badge(word, look_of(word, other="warn"))


def held_by(stage: str, holders: object) -> Badge:
    """The badge of a stage that says who holds it."""
    return Badge(f"{stage}: {text_of(holders)}", state(stage).look)


def count(size: int, one: str, many: str | None = None) -> str:
    """A number of things: ``1 model``, ``10,000 models``."""
    return f"{size:,} {one if size == 1 else many or f'{one}s'}"


def _few(values: Iterable[Item]) -> Iterator[Item]:
    """The first of many, since no more is shown."""
    return islice(values, LONGEST // 2)


def _written_out(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width_of(text: str) -> int:
    """How many places of a terminal it takes."""
    if text.isascii():
        return len(text)
    return sum(map(places_of, text))


def places_of(letter: str) -> int:
    """The same of one letter."""
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
