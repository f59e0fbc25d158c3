"""The words of a search expression: its text cut into tokens, and errors that point at a character of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from modelregistry.display.words import width_of
from modelregistry.errors import QueryError

MOST_CHARACTERS = 10_000
_MOST_DIGITS = 300
_SHOWN = 100
_KEYWORDS = frozenset({"and", "or", "not", "in", "like"})
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None}
_INSTEAD = {"=": "==", "===": "==", "<>": "!=", "=<": "<=", "=>": ">=", "=~": "like", "~": "like", "!": "not",
            "&&": "and", "&": "and", "||": "or", "|": "or"}  # fmt: skip
_PATTERN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<name>[^\W\d]\w*)
  | (?P<mark>[<>=!&|~]+|[()\[\],.])
    """,
    re.VERBOSE | re.DOTALL,
)
_COMPARISONS = frozenset({"<", "<=", "==", "!=", ">", ">="})
_BRACKETS = frozenset("()[],.")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression."""

    kind: Literal["name", "keyword", "constant", "mark", "end"]
    """``constant`` is a text, a number, true, false or null; ``mark`` an operator or a bracket."""
    value: object
    """Of a constant, what it is; else the word as it is spelt, a keyword in lower case."""
    at: int
    """The character it begins at."""
    text: str
    """As written."""


def error_at(text: str, at: int, what: str) -> QueryError:
    """An error about the character ``at``, with the expression and a mark below that character."""
    start = max(0, min(at - _SHOWN // 2, len(text) - _SHOWN))
    head, tail = "…" if start else "", "…" if start + _SHOWN < len(text) else ""
    # What would move the mark, or the text around it, is shown as a space.
    line = _UNSEEN.sub(" ", text[start : start + _SHOWN])
    before = " " * (len(head) + width_of(line[: at - start]))
    return QueryError(f"{what}\n    {head}{line}{tail}\n    {before}^", query=text, position=at)


def tokenize(text: str) -> Iterator[Token]:
    """The words of an expression; the last one says where it ends.

    Raises:
        QueryError: It is too long, or something in it is no word.
    """
    if len(text) > MOST_CHARACTERS:
        raise error_at(
            text, MOST_CHARACTERS, f"a query of {len(text):,} characters: {MOST_CHARACTERS:,} is the most"
        )
    at = 0
    while at < len(text):
        found = _PATTERN.match(text, at)
        if found is None:
            raise error_at(text, at, _odd(text, at))
        at = found.end()
        if found.lastgroup != "space":
            yield _token(text, found)
    yield Token("end", "", len(text), "")


def _odd(text: str, at: int) -> str:
    character = text[at]
    if character in "\"'":
        return f"a text that begins with {character} and does not end"
    what = "begins a number" if character == "-" else "means nothing"
    return f"{character!r} {what} here{in_brackets(text, at)}"


def in_brackets(text: str, at: int) -> str:
    """How a name is written that may go on with this character; nothing where none ends just before it."""
    around = re.search(r"[^\W\d]\w*([^\w\s\\])\w\Z", text[max(0, at - _SHOWN) : at + 2])
    if around is None or not around[1].isprintable():
        return ""
    character = around[1]
    return f'; a name with a {character!r} in it is written in brackets: metrics["x{character}y"]'


def _token(text: str, found: re.Match[str]) -> Token:
    word, at = found.group(), found.start()
    match found.lastgroup:
        case "number":
            return Token("constant", _number(text, at, word), at, word)
        case "text":
            return Token("constant", _text(text, at, word), at, word)
        case "name":
            lowered = word.lower()
            if lowered in _KEYWORDS:
                return Token("keyword", lowered, at, word)
            if lowered in _CONSTANTS:
                return Token("constant", _CONSTANTS[lowered], at, word)
            return Token("name", word, at, word)
    if word not in _COMPARISONS and word not in _BRACKETS:
        better = _INSTEAD.get(word)
        raise error_at(
            text, at, f"{word!r} is no operator" + (f": did you mean {better!r}?" if better else "")
        )
    return Token("mark", word, at, word)


def _number(text: str, at: int, word: str) -> int | float:
    if len(word) > _MOST_DIGITS or not word.isascii():
        raise error_at(text, at, "this number can't be read: it is too long, or its digits are not 0 to 9")
    return float(word) if set(word) & set(".eE") else int(word)


def _text(text: str, at: int, word: str) -> str:
    def meant(found: re.Match[str]) -> str:
        if found[1] is not None:
            return chr(int(found[1], 16))
        if found[2] not in _ESCAPED:
            raise error_at(
                text, at + 1 + found.start(), f"{found[0]!r} is no escape: write {chr(92) * 2!r} for a '\\'"
            )
        return _ESCAPED[found[2]]

    found = _ESCAPE.sub(meant, word[1:-1])
    # Two escapes may be the halves of one character, as in JSON.
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
