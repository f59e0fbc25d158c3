"""The call whose string argument somebody is typing, told from unfinished code; nothing is run for that."""

from __future__ import annotations

import tokenize
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import NamedTuple

_PAIRS = {")": "(", "]": "[", "}": "{"}
_QUOTES = "'\""


class TypedCall(NamedTuple):
    """A call, or an index, whose last argument is a string that is not closed yet."""

    owner: str
    """What comes before the bracket, less its last name: ``registry`` of ``registry.promote(``, ``""`` of ``promote(``; of an index, all of
    it."""
    verb: str
    """What is called; ``""`` of an index."""
    position: int
    """How many arguments come before the string."""
    keyword: str | None
    """The name that it is passed by, if it is."""
    first: str | None
    """The first argument, where that is a string."""
    begun: str
    """What is typed of the string so far."""


def typed_call(code: str) -> TypedCall | None:
    """The call whose string argument is being typed at the end of the code; None where nothing of the kind is."""
    opened = _opened_string(code)
    if opened is None:
        return None
    before, begun = opened
    words = [*_words(before)]
    depth = position = 0
    keyword: str | None = None
    for index in range(len(words) - 1, -1, -1):
        word = words[index]
        if word in _PAIRS:
            depth += 1
        elif word in _PAIRS.values() and depth:
            depth -= 1
        elif word == "[" and index and words[index - 1] in ("(", ",", "="):
            position, keyword = 0, None  # a list, which is an argument itself
        elif word in _PAIRS.values():
            return _called(words, index, position, keyword, begun)
        elif word == "," and not depth:
            position += 1
        elif word == "=" and not depth and not position and index:
            keyword = words[index - 1]
    return None


def _called(
    words: Sequence[str], bracket: int, position: int, keyword: str | None, begun: str
) -> TypedCall | None:
    """The call whose bracket is that word."""
    start = bracket
    if start and words[start - 1].isidentifier():
        start -= 1
        while start > 1 and words[start - 1] == "." and words[start - 2].isidentifier():
            start -= 2
    name = "".join(words[start:bracket])
    first = words[bracket + 1] if bracket + 1 < len(words) else ""
    text = first[1:-1] if len(first) > 1 and first[0] in _QUOTES else None
    if words[bracket] == "[":
        return TypedCall(name, "", position, keyword, text, begun) if name else None
    owner, _, verb = name.rpartition(".")
    return TypedCall(owner, verb, position, keyword, text, begun) if verb else None


def _opened_string(code: str) -> tuple[str, str] | None:
    """The code before a string that is open at its end, and what is in that so far."""
    quote, start, is_comment = "", 0, False
    for position, letter in enumerate(code):
        if letter == "\n":
            quote, is_comment = "", False
        elif is_comment:
            continue
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES:
            quote, start = letter, position
        elif letter == "#":
            is_comment = True
    return (code[:start], code[start + 1 :]) if quote else None


def _words(code: str) -> Iterator[str]:
    """The words of unfinished code, as far as they can be told."""
    try:
        for token in tokenize.generate_tokens(StringIO(code).readline):
            if token.string.strip() and token.type != tokenize.COMMENT:
                yield token.string
    except (tokenize.TokenError, SyntaxError):
        return
