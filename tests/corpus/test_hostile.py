"""Hostile files: each does harm when it is read the usual way, and none does here."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelregistry.errors import MissingDependencyError, UnknownFormatError, UntrustedModelError
from modelregistry.loading.deserialize import deserialize
from modelregistry.plugins import loaders_for
from modelregistry.trust.trust import Trust, Vouching
from tests.corpus.hostile import TECHNIQUES, WRAPPINGS, HostileFile, build, live


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> list[HostileFile]:
    """The files, written twice: those read the usual way leave a mark each."""
    folder = tmp_path_factory.mktemp("proof")
    files = build(folder)
    done = live(files)
    assert [each[3:] for each in files if each.path not in done] == []
    return build(tmp_path_factory.mktemp("hostile"))


def load(file: HostileFile, loader: str | None = None) -> object:
    path = Path(file.path)
    return deserialize(
        path,
        path.name,
        digest="sha256:" + "ab" * 32,
        reference="churn@v1.0.0",
        loaders=loaders_for(path, path.name, loader),
        loader=loader,
        trust=Vouching(Trust.parse(None)),
    )


def refused(file: HostileFile, read: Callable[[], object]) -> bool:
    try:
        read()
    except (UntrustedModelError, UnknownFormatError, MissingDependencyError):  # PyTorch need not be here
        return not Path(file.mark).exists()
    return False


def test_the_corpus_is_as_large_as_promised(proven: list[HostileFile]) -> None:
    assert len(proven) >= 300
    assert len(TECHNIQUES) >= 48
    assert {each.wrapping for each in proven} == WRAPPINGS.keys()


def test_what_does_harm_elsewhere_is_refused_here_and_does_none(proven: list[HostileFile]) -> None:
    assert [each[3:] for each in proven if not refused(each, lambda each=each: load(each))] == []  # type: ignore[misc]


@pytest.mark.parametrize("loader", ["pickle", "joblib"])
def test_no_loader_that_is_named_does_harm_either(loader: str, proven: list[HostileFile]) -> None:
    assert [each[3:] for each in proven if not refused(each, lambda each=each: load(each, loader))] == []  # type: ignore[misc]


def test_a_refusal_names_what_is_in_the_way(proven: list[HostileFile]) -> None:
    for each in proven:
        if each.technique == "eval" and each.wrapping in {"pickle", "joblib, beside an array"}:
            with pytest.raises(UntrustedModelError) as caught:
                load(each)
            assert caught.value.names == ("builtins.eval",)
