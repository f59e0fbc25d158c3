"""What is shown of an object, whoever draws it: a title, badges, and blocks of facts, rows, pictures and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Look = Literal["plain", "good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Badge:
    """A word that stands out, such as a state."""

    text: str
    look: Look = "plain"


@dataclass(frozen=True, slots=True)
class Code:
    """Text for machines: a digest, a commit, a line of Python. A long digest is shortened in tables, and where it can be unfolded."""

    text: str


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known, line by line; what is None is left out."""

    lines: Sequence[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    left_out: Sequence[str] = ()
    """A line for each kind of thing that is not in it."""


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence, or a few."""

    text: str
    look: Look = "plain"


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines that keep their form, under a heading."""

    title: str
    text: str
    folded: bool = False
    """Whether a page shows only the heading until it is asked for more."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG document of ours, and the same for who can't see it."""

    svg: str
    text: str
    opened: str = ""
    """The same with everything open, where something in it is folded."""


Block = Facts | Table | Note | Listing | Picture


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of one object."""

    title: str = ""
    badges: Sequence[Badge] = ()
    blocks: Sequence[Block] = ()
