"""The error tree: one root, the whole of it drawn, exported and documented."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import modelregistry
from modelregistry import errors

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and value.__module__ == errors.__name__
}


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """From the docstring: each class with its parent and the builtin in brackets."""
    found: dict[str, tuple[str | None, str | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)(?: \((\w+)\))?", line)
        if match is None:
            continue
        depth = len(match[1])
        above = [(other, name) for other, name in above if other < depth]
        found[match[2]] = (above[-1][1] if above else None, match[3])
        above.append((depth, match[2]))
    return found


def test_the_drawing_has_every_class_and_no_other() -> None:
    assert set(drawn()) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_stands_where_it_is_drawn(name: str) -> None:
    parent, builtin = drawn()[name]
    bases = [base.__name__ for base in CLASSES[name].__bases__]
    assert bases == [found for found in (parent, builtin) if found] or (parent is None and len(bases) == 1)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_is_under_the_root_and_public(name: str) -> None:
    root = errors.RegistryWarning if name.endswith("Warning") else errors.RegistryError
    assert issubclass(CLASSES[name], root)
    assert name in modelregistry.__all__
    assert getattr(modelregistry, name) is CLASSES[name]
    assert CLASSES[name].__doc__


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_is_documented(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
    assert name in page.read_text()


@pytest.mark.parametrize(
    "name", sorted(name for name in CLASSES if "Attributes:" in (CLASSES[name].__doc__ or ""))
)
def test_what_a_docstring_says_an_error_carries_it_carries(name: str) -> None:
    fields = re.findall(r"^ {4}(\w+): ", inspect.getdoc(CLASSES[name]) or "", re.MULTILINE)
    parameters = inspect.signature(CLASSES[name].__init__).parameters
    assert fields and set(fields) <= set(parameters)
    values = {field: datetime(2026, 1, 1, tzinfo=UTC) if field == "at" else ("x",) for field in fields}
    error = CLASSES[name]("what is wrong", **values)
    assert str(error) == "what is wrong"
    assert {field: getattr(error, field) for field in fields} == values


@pytest.mark.parametrize("name", sorted(name for name in CLASSES if name.endswith("Error")))
def test_only_the_message_is_positional(name: str) -> None:
    for parameter in list(inspect.signature(CLASSES[name].__init__).parameters.values())[2:]:
        assert parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def test_builtins_catch_what_they_fit() -> None:
    for error, builtin in (
        (errors.InvalidNameError, ValueError),
        (errors.VersionNotFoundError, LookupError),
        (errors.GitTimeoutError, TimeoutError),
        (errors.MissingDependencyError, ImportError),
    ):
        with pytest.raises(builtin, match="because"):
            raise error("because")
