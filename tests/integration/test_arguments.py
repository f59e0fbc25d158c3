"""Every public verb: its arguments are called and taken as those of the others, and whatever is odd is one error of ours.

The verbs are found by their signatures. A new one is tested as soon as it is there; only an argument with a new name has
to be entered in ``GOOD``, with a value that it may have.
"""

from __future__ import annotations

import inspect
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import modelregistry as mr
from modelregistry import Catalog, ModelVersion, Registry
from modelregistry.content.cache import Cache
from tests.integration.projects import everything, visible

Signature = inspect.Signature


class Verb(NamedTuple):
    """A public verb and whose it is."""

    owner: type | None
    name: str

    @property
    def function(self) -> Callable[..., Any]:
        return getattr(self.owner or mr, self.name)  # type: ignore[no-any-return]

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        found = inspect.signature(self.function).parameters
        return {
            name: each for name, each in found.items() if name != "self" and each.kind is not each.VAR_KEYWORD
        }

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self.name}" if self.owner else self.name


def verbs() -> Iterator[Verb]:
    for owner in (Registry, ModelVersion, Catalog, Cache):
        for name, value in inspect.getmembers_static(owner):
            if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, staticmethod)):
                yield Verb(owner, name)
    for name in mr.__all__:
        if inspect.isfunction(getattr(mr, name)):
            yield Verb(None, name)


VERBS = [*verbs()]
OPENING = [Verb(None, "Registry"), Verb(None, "Catalog")]

WRITES = {
    "annotate", "demote", "deprecate", "evaluate", "import_mlflow", "import_model", "import_models", "log_model", "promote",
    "register", "rollback", "track", "update_import", "withdraw",
}  # fmt: skip
"""The verbs of Registry that append to the log."""
CHANGES = WRITES | {"trust", "distrust", "unbundle"}
"""And those that change what others keep."""


# -- one manner --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*VERBS, *OPENING], ids=str)
def test_what_comes_third_or_later_is_passed_by_its_name(verb: Verb) -> None:
    by_place = [name for name, each in verb.parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert len(by_place) <= 3


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.owner is Registry], ids=str)
def test_every_write_has_a_message_and_a_rehearsal(verb: Verb) -> None:
    names = set(verb.parameters)
    assert ("message" in names) is (verb.name in WRITES)
    assert ("dry_run" in names) is (verb.name in CHANGES)


SAME = {
    "bump": "Bump | None", "dry_run": "bool", "loader": "str | None", "message": "str", "offline": "bool", "overwrite": "bool",
    "progress": "Progress", "storage_options": "Mapping[str, Any] | None", "timeout": "float | None", "trust": "Trust",
    "verify": "Verify", "as_of": "datetime | None", "license": "str | None", "push_data": "bool", "title": "str",
    "reference": "str | ModelVersion", "to": "str | os.PathLike[str]", "file": "str | os.PathLike[str]",
    "target": "str | os.PathLike[str]",
}  # fmt: skip
"""What arguments of these names take, at whatever verb."""
OTHERWISE = {
    # Of another repository's registry, whose versions nobody here has read; or what follows a name.
    ("import_model", "reference"): "str | None",
    ("update_import", "reference"): "str | None",
    ("copy_log", "to"): "Backend | str",
    ("mirror", "to"): "Backend | str",
    ("register_loader", "loader"): "LoaderT",  # a class
    ("Registry", "target"): "str | os.PathLike[str] | None",
}
DEFAULTS = {
    "dry_run": False, "message": "", "progress": None, "trust": None, "verify": "once", "overwrite": False, "timeout": None,
    "storage_options": None, "as_of": None, "offline": False, "loader": None, "bump": None,
}  # fmt: skip


@pytest.mark.parametrize("verb", [*VERBS, *OPENING], ids=str)
def test_an_argument_takes_the_same_at_every_verb_and_has_the_same_default(verb: Verb) -> None:
    for name, parameter in verb.parameters.items():
        if name in SAME:
            assert parameter.annotation == OTHERWISE.get((verb.name, name), SAME[name]), name
        if name in DEFAULTS and parameter.default is not parameter.empty:
            assert parameter.default == DEFAULTS[name], name


LONG = {
    "Registry": {
        "bundle", "evaluate", "export_site", "impact", "import_mlflow", "import_model", "import_models", "log_model", "register",
        "sync", "track", "trust", "unbundle", "update_import",
    },
    "ModelVersion": {"convert", "download", "export", "load", "local_path", "open", "reproduce", "verify"},
    "Catalog": {"export_site", "impact"},
    "Cache": {"verify"},
    "": {"download", "load_model", "verify_export"},
}  # fmt: skip
"""What may take minutes, because it moves bytes or goes through everything there is."""


def test_what_may_take_long_says_how_far_it_is_and_nothing_else_pretends_to() -> None:
    found: dict[str, set[str]] = {owner: set() for owner in LONG}
    for verb in VERBS:
        if "progress" in verb.parameters:
            found[verb.owner.__name__ if verb.owner else ""].add(verb.name)
    assert found == LONG


@pytest.mark.parametrize("verb", [*VERBS, *OPENING], ids=str)
def test_the_docstring_tells_every_argument(verb: Verb) -> None:
    text = inspect.getdoc(verb.function) or ""
    if len(verb.parameters) > 1:
        told = {name.lstrip("*") for name in re.findall(r"^    (\*{0,2}\w+):", text, re.MULTILINE)}
        assert {*verb.parameters} <= told


PAGE = Path(mr.__file__).parents[1] / "docs" / "reference" / "arguments.md"


def test_the_page_of_arguments_has_every_one_that_several_verbs_share_and_none_that_is_gone() -> None:
    rows = [
        line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    used = Counter(name for verb in VERBS for name in verb.parameters)
    of_questions = {"name", "stage", "query", "title", "sort", "limit", "what", "registry", "offline", "rev", "url", "inputs"}  # fmt: skip
    assert told <= used.keys()
    assert {name for name, times in used.items() if times > 2} <= told | of_questions | {"bump"}


# -- bad input ---------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "accept": False, "address": "nowhere.db", "after": None, "allow_missing": True, "as_name": "other",
    "as_of": None, "author": None, "backend": None, "bom": False, "bump": None, "by": "metrics.auc", "cards": False,
    "checksum": None, "code": (), "command": ["true"], "copy": False, "data": "churn.json", "declare": False, "deprecated": False,
    "description": None, "digest": None, "direction": None, "dry_run": True, "echoes": False, "every": None, "example": None,
    "exporter": None, "file": "nowhere.bundle", "format": "folder", "inputs": (), "into": "models", "keep": False, "label": None,
    "labels": (), "license": None, "limit": None, "loader": None, "made_from": None, "max_age": 60.0, "message": "",
    "metadata": {"a": 1}, "metric": "metrics.auc", "metrics": None, "model": "churn", "models": None, "move_stages": False,
    "name": "other", "name_or_path": "churn", "names": None, "obj": {"a": 1}, "older_than": None, "max_size": None, "unheld": False, "offline": False, "on_change": None,
    "on_error": None, "origin": None, "overwrite": False, "params": None, "path": None, "progress": None, "push": True,
    "push_data": False, "query": None, "reference": "churn", "replace": False, "references": ["churn"], "registries": (), "registry": None,
    "remote": None, "repair": False, "require": None, "rev": "HEAD", "schema": None, "sign": False, "signers": None, "since": None,
    "sort": None, "source": "churn.json", "stage": "current", "stages": None, "state": None, "storage_options": None,
    "strict": False, "target": "out", "then": None, "timeout": 5.0, "title": "Models", "to": "out", "tolerance": 0.0,
    "tracking_uri": None, "trust": None, "type": None, "until": None, "uri": "nowhere.sqlite", "url": "nowhere", "verify": "once",
    "version": None, "version_aware": None, "wanted": [], "what": "churn.json", "candidate": "churn", "base": "churn", "candidates": "churn",
    "expected": mr.ANY, "ref": "refs/tags/churn@v0.1.0",
}  # fmt: skip
"""A value that an argument of that name may have; a call with these does no harm."""
PER_VERB: dict[str, dict[str, Any]] = {
    "Catalog.search": {"name": None},
    "Registry.search": {"name": None, "stage": None},
    "Registry.compare": {}, "Registry.versions": {"stage": None},
    "Registry.get": {"stage": None}, "download": {"stage": None}, "load_model": {"stage": None},
    "Registry.promote": {"version": "v0.1.1", "stage": "shadow"},
    "Registry.withdraw": {"version": "v0.1.1"},
    "Registry.annotate": {"version": "v0.1.1"},
    "Registry.import_model": {"reference": None},
    "Registry.update_import": {"reference": None, "rev": None},
    "Registry.copy_log": {"to": "nowhere"}, "Registry.mirror": {"to": "nowhere"},
    "Registry.export_site": {"url": None},
    "Registry": {"target": None},
    "Catalog": {"registries": ["."]},
}  # fmt: skip

ODD: list[Any] = [
    None, 5, b"churn", "", "x" * 300, "a\0b", "a\nb", "--help", Path("churn"), object(), [None], {5: object()}, str, float("nan"),
    datetime(2026, 1, 1), "https://user:secret@localhost:1/x",  # noqa: DTZ001
]  # fmt: skip
FREE = {"obj"}
"""What may be anything at all. Flags are, too: they are what Python takes for true."""
ADDRESSES = {
    "address", "backend", "data", "origin", "registries", "registry", "remote", "source", "target", "to", "tracking_uri", "uri",
    "url", "wanted", "what", "inputs",
}  # fmt: skip
"""What may be a URL: the password in one is told to nobody."""


@pytest.fixture
def place(plain: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where relative paths lead to: a folder of its own beside the project."""
    monkeypatch.setenv("MODELREGISTRY_URL", os.fspath(plain))
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("verb", [*VERBS, *OPENING], ids=str)
def test_whatever_is_odd_is_one_error_of_ours_and_changes_nothing(
    verb: Verb, plain: Path, registry: Registry, place: Path
) -> None:
    version = registry.get("churn")
    owner: Any = {
        Registry: registry,
        ModelVersion: version,
        Catalog: Catalog([registry]),
        Cache: registry.cache,
    }.get(verb.owner)  # type: ignore[call-overload]
    call = partial(getattr(owner, verb.name)) if owner is not None else verb.function
    unknown = [name for name in verb.parameters if name not in GOOD]
    assert unknown == [], "enter a good value for a new argument"
    mine = PER_VERB.get(str(verb), {})
    good = {
        name: mine.get(name, GOOD[name])
        for name, each in verb.parameters.items()
        if (each.default is each.empty and each.kind is not each.VAR_POSITIONAL)
        or name in ("dry_run", "stage", "version")
        or name in mine
    }
    before, outside = visible(plain), everything(plain.parent / "plain" / ".git" / "refs")
    wrong = []
    for name, parameter in verb.parameters.items():
        for odd in ODD if name not in FREE and parameter.annotation != "bool" else ():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    if parameter.kind is parameter.VAR_POSITIONAL:
                        call(*good.values(), odd)
                    else:
                        call(**{**good, name: odd})
                except mr.RegistryError as error:
                    if "secret" in str(error) and name in ADDRESSES:
                        wrong.append(f"{name}={odd!r}: a secret is told: {error}")
                except Exception as error:  # noqa: BLE001 (that is what is looked for)
                    wrong.append(f"{name}={odd!r:.80}: {type(error).__name__}: {error}"[:300])
    assert wrong == []
    assert visible(plain) == before
    assert everything(plain.parent / "plain" / ".git" / "refs") == outside


WORDS: dict[str, tuple[Callable[[Registry], object], type[mr.RegistryError], str]] = {
    "a digest that is none": (lambda r: mr.verify_export("out", digest="abc"), mr.InvalidInputError, "64 hexadecimal digits"),
    "a login in the address of a registry of containers": (
        lambda r: r.get("churn").export("oci://ann:pw-c4n4ry@localhost:1/team/churn:v1", format="oci"),
        mr.InvalidInputError, r"'localhost:1/team/churn:v1' carries a login.*storage_options",
    ),
    "a bundle to a number": (lambda r: r.bundle(["churn"], 5), mr.InvalidInputError, "file=5 is neither a path"),  # type: ignore[arg-type]
    "a bundle that is nothing": (lambda r: r.unbundle(None, "x.git"), mr.InvalidInputError, "file=None is neither"),  # type: ignore[arg-type]
    "a site at a URL": (
        lambda r: r.export_site("s3://ann:pw-c4n4ry@bucket/site"), mr.InvalidInputError, "s3://bucket/site' is a URL",
    ),
    "an export that can't be reached": (
        lambda r: mr.verify_export("http://ann:pw-c4n4ry@127.0.0.1:1/churn"), mr.ExportError, "127.0.0.1:1/churn",
    ),
    "a path that is too long": (
        lambda r: r.get("churn").download("x" * 300), mr.InvalidInputError, "can be no path here",
    ),
    "a moment that is a text": (lambda r: r.get("churn", as_of="2026-01-01"), mr.InvalidInputError, "tzinfo=UTC"),  # type: ignore[arg-type]
    "a backend that is none": (lambda r: mr.Registry(r.target, backend=5), mr.InvalidInputError, "open_backend"),  # type: ignore[arg-type]
    "one version for a list": (
        lambda r: r.impact("x", registries=r), mr.InvalidInputError, "must be a list of registries",  # type: ignore[arg-type]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WORDS)
def test_what_can_t_be_says_what_can(case: str, plain: Path, registry: Registry, place: Path) -> None:
    wish, error, words = WORDS[case]
    before = visible(plain)
    with pytest.raises(error, match=words) as caught:
        wish(registry)
    assert type(caught.value) is error
    assert "c4n4ry" not in f"{caught.value}{caught.value.__cause__}"
    assert visible(plain) == before
    assert [*place.iterdir()] == []


def test_a_path_in_the_repository_may_be_pathlib_s(registry: Registry, plain: Path) -> None:
    assert registry.register("risk", path=Path("risk.json")).path == "risk.json"
    with registry.get("risk").open(Path("risk.json")) as file:
        assert file.read() == (plain / "risk.json").read_bytes()
