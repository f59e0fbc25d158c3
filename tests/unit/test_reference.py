"""The reference has every public name, every member of what is shown there, and says what a call raises."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import modelregistry as mr

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
DIRECTIVE = re.compile(r"^\.\. auto(class|function|module):: (\S+)\n((?: {3}:.*\n)*)", re.MULTILINE)
API = (REFERENCE / "api.md").read_text(encoding="utf-8")
QUIET = {
    "Backend.candidates", "Backend.migrate", "Backend.read", "Backend.read_all", "Backend.read_some", "Backend.watch",
    "Callback.absolute_update", "Callback.set_size", "CardText.over", "Event.from_values", "Event.outline",
    "Lineage.diff", "Lineage.find", "Lineage.find_any", "Lineage.is_own", "Lineage.of_kind", "Lineage.values",
    "LineageDiff.of_kind", "Loader.by_name", "Loader.describe_object", "Loader.loses", "Loader.part",
    "Loader.recognises", "Loader.saves", "Loader.suffix_for", "Log.next_number", "Metric.is_met",
    "ModelSignature.from_dict", "Node.same_content", "Source.local",
}  # fmt: skip
"""What takes arguments and raises nothing of its own: questions to what is in memory, and parts of the contracts."""


def shown() -> Iterator[tuple[str, Any, str]]:
    """Each class and function of the page: how it is called there, what it is, and the options it is shown with."""
    for kind, name, options in DIRECTIVE.findall(API):
        value = found(name)
        if kind == "module":
            yield from (
                (f"{name}.{each}", part, options)
                for each, part in vars(value).items()
                if inspect.isclass(part) and part.__module__ == name and not each.startswith("_")
            )
        else:
            yield name, value, options


def found(name: str) -> Any:
    """What is called so: a module, or something in one."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        folder, _, last = name.rpartition(".")
        return getattr(found(folder), last)


SHOWN = {name: (value, options) for name, value, options in shown()}
CLASSES = {
    name: value
    for name, (value, _) in SHOWN.items()
    if inspect.isclass(value) and not issubclass(value, BaseException) and "testing" not in name
}


def members(value: type) -> dict[str, Any]:
    """What a caller sees of the class that is its own, by name."""
    ours = [base for base in value.__mro__ if base.__module__.startswith("modelregistry")]
    return {
        name: member
        for name, member in inspect.getmembers_static(value)
        if not name.startswith("_")
        and any(name in vars(base) for base in ours)
        and (callable(member) or isinstance(member, property | classmethod | staticmethod))
    }


@pytest.mark.parametrize("name", sorted(set(mr.__all__) - {"__version__"}))
def test_every_public_name_is_in_the_reference(name: str) -> None:
    value = getattr(mr, name)
    by_hand = f".. py:data:: modelregistry.{name}\n" in API
    assert by_hand or any(value is each for each, _ in SHOWN.values())


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_shown_with_all_that_it_has(name: str) -> None:
    for member, value in members(CLASSES[name]).items():
        assert inspect.getdoc(value.fget if isinstance(value, property) else value), f"{member} says nothing"
    assert ":members:" in SHOWN[name][1]


def test_what_takes_arguments_says_what_it_raises() -> None:
    silent = set()
    for name, (value, _) in SHOWN.items():
        if inspect.isfunction(value) and "Raises:" not in (inspect.getdoc(value) or ""):
            silent.add(name)
    for value in CLASSES.values():
        for member, function in members(value).items():
            plain = getattr(function, "__func__", function)
            if not isinstance(function, property) and takes_arguments(plain):
                said = inspect.getdoc(plain) or ""
                if "Raises:" not in said and "raises as" not in said:
                    owner = next(base for base in value.__mro__ if member in vars(base))
                    silent.add(f"{owner.__name__}.{member}")
    assert silent <= QUIET, f"say what they raise, or add them to the list: {sorted(silent - QUIET)}"


def takes_arguments(function: Any) -> bool:
    return not isinstance(function, type | ModuleType) and len(inspect.signature(function).parameters) > 1


OTHERS = {"application_name", "connect_args", "folder", "force", "parent_commit", "sslmode", "sslrootcert"}
"""Words before a ``=`` in the pages that are no arguments of ours: of drivers, of others, of a tag."""


def test_every_argument_that_the_pages_name_is_there() -> None:
    functions = [value for value, _ in SHOWN.values() if inspect.isfunction(value)]
    functions += [
        getattr(member, "__func__", member)
        for value in CLASSES.values()
        for member in (value.__init__, *members(value).values())
        if not isinstance(member, property)
    ]
    known = {name for function in functions for name in inspect.signature(function).parameters}
    known |= {field for value in CLASSES.values() for field in getattr(value, "__annotations__", ())}
    unknown = {
        f"{page.name}: {code}"
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        if page.parent.name != "adr"
        for code in re.findall(
            r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        )
        for word in re.findall(r"(?<![\w.-])([a-z_]+)=(?!=)", code)
        if word not in known | OTHERS
    }
    assert not unknown


def test_the_page_of_errors_draws_the_tree_and_has_a_row_for_each() -> None:
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    tree = page.partition("```text\n")[2].partition("```")[0]
    above: list[str] = []
    drawn: dict[str, set[str]] = {}
    for line in tree.splitlines():
        if match := re.match(r"([│├└─ ]*)(\w+)(?: \((\w+)\))?", line):
            above[len(match[1]) // 4 :] = [match[2]]
            drawn[match[2]] = {*above[-2:-1], *filter(None, [match[3]])}
    roots = {"RegistryError": set[str](), "RegistryWarning": {"UserWarning"}}
    assert drawn == roots | {
        name: {base.__name__ for base in value.__bases__}
        for name in mr.__all__
        if name.endswith(("Error", "Warning")) and name not in roots and (value := getattr(mr, name))
    }
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert rows >= {*drawn} - {"RegistryError"}
