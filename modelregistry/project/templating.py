"""What DVC puts in the place of ``${…}`` in a ``dvc.yaml``, and which steps a foreach or a matrix makes.

The rules are DVC's own (https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#templating): the values come from
``params.yaml`` and from what ``vars:`` names; a string that is one expression keeps the value's type; nothing that was
put in is looked at again. How much may be put in, and how many steps may come of it, is bounded.
"""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from modelregistry.errors import InvalidFileError

MOST_MEMBERS = 10_000
"""Steps that one ``dvc.yaml`` may make."""
MOST_CHARACTERS = 8 << 20
"""Characters that may be put into one ``dvc.yaml`` in all."""
DEFAULT_VARS = "params.yaml"
_LONG = 1_000

Values = Mapping[str, Any]
Load = Callable[[str], object]
"""Reads the file at a path from the Git root; None where the commit has none."""

# What has no end is passed at once, with all beginnings in it: to look for the end of each would take for ever.
_EXPRESSION = re.compile(r"(?<!\\)\$\{([^}\n]*)(\}?)")
_PART = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[[^.\[\]]+\])*")


@dataclass(frozen=True, slots=True)
class FlagStyle:
    """How a mapping in a command becomes flags: DVC's settings ``parsing.bool`` and ``parsing.list``."""

    negative: bool = False
    """``--no-name`` for a false one; else it is left out."""
    repeated: bool = False
    """``--name a --name b`` for a list; else ``--name a b``."""


FLAG_STYLES = tuple(FlagStyle(negative, repeated) for negative in (False, True) for repeated in (False, True))


@dataclass(frozen=True, slots=True)
class Context:
    """The values that can be put in, and the files that they came from."""

    values: Values = field(default_factory=dict)
    files: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """By path, the keys that were taken; None for all."""

    def having(self, extra: Values) -> Context:
        """With values that come before those there are, as those of a foreach do."""
        return Context({**self.values, **extra}, self.files)


class Templates:
    """Fills in the expressions of one ``dvc.yaml``.

    Args:
        path: The file, for errors and for what it names.

    Attributes:
        flagged: How many mappings became flags of a command.
    """

    def __init__(self, path: str) -> None:
        self.flagged = 0
        self._path = path
        self._characters = MOST_CHARACTERS
        self._members = MOST_MEMBERS

    def _error(self, what: str) -> InvalidFileError:
        return InvalidFileError(f"{self._path!r}: {what}", path=self._path)

    # -- where values come from ----------------------------------------------------------------------------

    def context(self, items: object, load: Load) -> Context:
        """The values that the whole file has: of ``params.yaml`` beside it, and what its ``vars:`` says.

        Raises:
            InvalidFileError: One can't be had, or says again what another has said.
        """
        folder = posixpath.dirname(self._path)
        default = posixpath.join(folder, DEFAULT_VARS)
        found = load(default)
        context = Context() if found is None else self._with_file(Context(), default, found, None)
        return self.extended(context, items, folder, load)

    def extended(self, context: Context, items: object, folder: str, load: Load) -> Context:
        """With what a ``vars:`` says: files, relative to ``folder``, and values; raises as ``context`` does."""
        if items is None:
            return context
        if not isinstance(items, list):
            raise self._error("'vars' is no list")
        for item in items:
            if _has_expression(item):
                raise self._error("'vars' can't hold '${…}'")
            if isinstance(item, dict):
                context = Context(self._merged(context.values, item, "vars"), context.files)
                continue
            if not isinstance(item, str):
                raise self._error(f"'vars' has {item!r}, which is neither a file nor values")
            name, _, chosen = item.partition(":")
            path = posixpath.normpath(posixpath.join(folder, name))
            keys = frozenset(filter(None, chosen.split(","))) or None
            if path in context.files and keys is None and context.files[path] is None:
                continue  # DVC lets a whole file be named twice
            found = load(path)
            if found is None:
                raise self._error(f"'vars' names {path!r}, which the commit does not have")
            context = self._with_file(context, path, found, keys)
        return context

    def _with_file(self, context: Context, path: str, found: object, keys: frozenset[str] | None) -> Context:
        if not isinstance(found, dict):
            raise self._error(f"{path!r} is no mapping, so it has no values to put in")
        known = context.files.get(path, frozenset())
        if keys is None and path in context.files:
            raise self._error(f"'vars' names {path!r} as a whole and in part")
        if keys is not None:
            if known is None or known & keys:
                raise self._error(f"'vars' names {path!r}, or a part of it, twice")
            if missing := keys - found.keys():
                raise self._error(f"{path!r} has no {min(missing)!r}")
            found = {key: value for key, value in found.items() if key in keys}
        taken = None if keys is None else keys | (known or frozenset())
        return Context(self._merged(context.values, found, path), {**context.files, path: taken})

    def _merged(self, values: Values, more: Values, source: str) -> Values:
        merged = dict(values)
        for key, value in more.items():
            known = merged.get(key)
            if isinstance(known, Mapping) and isinstance(value, Mapping):
                merged[key] = self._merged(known, value, source)
            elif key in merged:
                raise self._error(f"{source!r} says again what {key!r} is")
            else:
                merged[key] = value
        return merged

    # -- the steps of a group ------------------------------------------------------------------------------

    def foreach(self, over: object, context: Context) -> Iterator[tuple[str, Context]]:
        """The key and the values of each step that ``foreach: over`` makes.

        Raises:
            InvalidFileError: It is neither list nor mapping, or makes too many.
        """
        items = self.fill(over, context)
        if isinstance(items, dict):
            for key, item in items.items():
                yield self._member(key), context.having({"item": item, "key": key})
        elif isinstance(items, list):
            by_number = any(isinstance(item, dict | list) for item in items)
            for number, item in enumerate(items):
                yield self._member(number if by_number else item), context.having({"item": item})
        else:
            raise self._error("'foreach' is neither list nor mapping")

    def matrix(self, over: object, context: Context) -> Iterator[tuple[str, Context]]:
        """The key and the values of each step that ``matrix: over`` makes; raises as ``foreach`` does."""
        axes = self.fill(over, context)
        if not isinstance(axes, dict) or not all(isinstance(axis, list | dict) for axis in axes.values()):
            raise self._error("'matrix' is no mapping of lists")
        for combination in itertools.product(*(enumerate(axis) for axis in axes.values())):
            item = {name: value for name, (_, value) in zip(axes, combination, strict=True)}
            key = "-".join(
                f"{name}{number}" if isinstance(value, dict | list) else text_of(value)
                for name, (number, value) in zip(axes, combination, strict=True)
            )
            yield self._member(key), context.having({"item": item, "key": key})

    def _member(self, key: object) -> str:
        self._members -= 1
        if self._members < 0:
            raise self._error(f"it makes more than {MOST_MEMBERS:,} steps")
        return text_of(key)

    # -- filling in ----------------------------------------------------------------------------------------

    def fill(
        self, value: object, context: Context, key: str | None = None, style: FlagStyle = FLAG_STYLES[0]
    ) -> Any:
        """``value`` with every expression in it filled in.

        Args:
            value: What the file says.
            context: The values.
            key: Where in a step it stands, such as ``cmd``; only a command takes mappings.
            style: How it takes them.

        Raises:
            InvalidFileError: There is no such value, or it can't stand there, or all that is put in grows too large.
        """
        if isinstance(value, str):
            return self._text(value, context, key, style) if "${" in value else value
        if isinstance(value, list):
            return [self.fill(item, context, key, style) for item in value]
        if isinstance(value, dict):
            return {
                str(self.fill(name, context, key, style)): self.fill(item, context, key, style)
                for name, item in value.items()
            }
        return value

    def _text(self, text: str, context: Context, key: str | None, style: FlagStyle) -> object:
        parts = _known_split(text) if len(text) < _LONG else _split(text)
        if len(parts) == 3 and not parts[0] and not parts[2]:
            value = self._chosen(parts[1], context, key)
            self._spend(len(text_of(value)) if not isinstance(value, dict | list) else len(text))
            return value
        filled = list(parts)
        for at in range(1, len(parts), 2):
            value = self._chosen(parts[at], context, key)
            if isinstance(value, list) or (isinstance(value, dict) and key != "cmd"):
                raise self._error(f"'${{{parts[at]}}}' is no single value, and stands in a text")
            filled[at] = self._flags(value, style) if isinstance(value, dict) else text_of(value)
        found = "".join(filled)
        self._spend(len(found))
        return found.replace(r"\${", "${")

    def _spend(self, characters: int) -> None:
        self._characters -= characters
        if self._characters < 0:
            raise self._error(f"what is put in is more than {MOST_CHARACTERS:,} characters")

    def _chosen(self, expression: str, context: Context, key: str | None) -> object:
        """The value that the expression (``a.b[0]``) stands for."""
        names = _known_names(expression) if len(expression) < _LONG else _names(expression)
        if not names:
            raise self._error(f"'${{{expression}}}' is no expression")
        found: object = context.values
        for name in names:
            try:
                if isinstance(found, dict):
                    found = found[name]
                elif isinstance(found, list):
                    found = found[int(name)]
                else:
                    raise KeyError(name)
            except (LookupError, ValueError) as error:
                raise self._error(f"'${{{expression}}}' is not among the values") from error
        if isinstance(found, dict | list) and key is not None and (key != "cmd" or isinstance(found, list)):
            raise self._error(f"'${{{expression}}}' is no single value")
        return found

    def _flags(self, values: Values, style: FlagStyle) -> str:
        """A mapping as flags of a command."""
        self.flagged += 1
        flags: list[str] = []
        for name, value in _leaves(values):
            if isinstance(value, bool):
                if value or style.negative:
                    flags.append(f"--{name}" if value else f"--no-{name}")
            elif isinstance(value, list):
                if any(isinstance(item, dict | list) for item in value):
                    raise self._error(f"{name!r} holds lists in lists, which can't be flags")
                # As DVC does: a true in a list is a word of Python's.
                words = [shlex.quote(item) if isinstance(item, str) else str(item) for item in value]
                flags += (
                    [f"--{name} {word}" for word in words]
                    if style.repeated
                    else [f"--{name} {' '.join(words)}"] * bool(words)
                )
            else:
                flags.append(f"--{name} {shlex.quote(value) if isinstance(value, str) else value}")
        return " ".join(flags)


def _split(text: str) -> tuple[str, ...]:
    """What is outside of expressions, and between each two of those an expression."""
    parts: list[str] = []
    at = 0
    for match in _EXPRESSION.finditer(text):
        if match[2]:
            parts += (text[at : match.start()], match[1])
            at = match.end()
    return (*parts, text[at:])


_known_split = lru_cache(maxsize=1024)(_split)  # the steps of a foreach have the same ones


def _names(expression: str) -> tuple[str, ...]:
    """The keys and numbers in an expression, one for each level; none where it is none."""
    if not _PART.fullmatch(expression.strip()):
        return ()
    return tuple(part.strip() for part in expression.replace("[", ".").replace("]", "").split("."))


_known_names = lru_cache(maxsize=1024)(_names)


def vars_files(document: object, path: str) -> Iterator[str]:
    """The files that the ``dvc.yaml`` at ``path`` takes values from, so that they can be read at once; maybe not all."""
    if not isinstance(document, dict):
        return
    stages = document.get("stages")
    plans = [document]
    for entry in stages.values() if isinstance(stages, dict) else ():
        plan = entry.get("do", entry) if isinstance(entry, dict) else None
        plans += [plan] if isinstance(plan, dict) else []
    for plan in plans:
        items, wdir = plan.get("vars"), plan.get("wdir") or "."
        for item in items if isinstance(items, list) and isinstance(wdir, str) else ():
            if isinstance(item, str):
                yield posixpath.normpath(
                    posixpath.join(posixpath.dirname(path), wdir, item.partition(":")[0])
                )


def text_of(value: object) -> str:
    """A single value as DVC writes it."""
    if type(value) is str:
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _leaves(values: Values, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _has_expression(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_expression, itertools.chain(value, value.values())))
    if isinstance(value, list):
        return any(map(_has_expression, value))
    return isinstance(value, str) and len(_split(value)) > 1
