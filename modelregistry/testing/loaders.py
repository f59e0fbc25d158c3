"""The laws every loader keeps, as a pytest class for those who write one."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from modelregistry.errors import RegistryError
from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier, UntrustedNamesError

_DAMAGED = 100


class LoaderSuite:
    """Everything a loader promises.

    Override ``loader`` and ``artifact``; ``hostile`` if the format can hold code; ``model``, and ``alike`` to compare
    more than classes, if it saves objects too.

    A subclass in a test module is all there is to write::

        class TestMyLoader(LoaderSuite):
            @pytest.fixture
            def loader(self):
                return MyLoader()

            @pytest.fixture
            def artifact(self, tmp_path):
                return save_a_model(tmp_path / "model.mine")
    """

    @pytest.fixture
    def loader(self) -> Loader:
        """The loader."""
        raise NotImplementedError("override the fixture 'loader'")

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        """A file or folder of the format, made anew, which loads without trust or with ``permit``."""
        raise NotImplementedError("override the fixture 'artifact'")

    @pytest.fixture
    def permit(self) -> Permit:
        """What loading ``artifact`` needs: nothing, unless the format is code."""
        return Permit()

    @pytest.fixture
    def model(self) -> object:
        """An object that the loader saves; None if it saves none."""
        return None

    def alike(self, saved: object, loaded: object) -> bool:
        """Whether what was loaded is what was saved."""
        return type(saved) is type(loaded)

    @pytest.fixture
    def mark(self, tmp_path: Path) -> Path:
        """A file that is not there, until ``hostile`` runs."""
        return tmp_path / "mark-of-hostile-code"

    @pytest.fixture
    def hostile(self, tmp_path: Path, mark: Path) -> Path | None:
        """An artifact that makes the file ``mark`` when its code runs; None if the format holds no code."""
        return None

    def test_it_has_a_name(self, loader: Loader) -> None:
        """By which ``loader=`` asks for it."""
        assert loader.name
        assert loader.name == loader.name.strip().lower()

    def test_its_own_format_is_recognised_and_loads(
        self, loader: Loader, artifact: Path, permit: Permit
    ) -> None:
        """And needs no more than is permitted."""
        assert loader.recognises(artifact, artifact.name) in {*Likeness} - {Likeness.NONE}
        needed = loader.inspect(artifact)
        assert isinstance(needed, Inspection)
        assert permit.code or (needed.tier < Tier.CODE and permit.names.issuperset(needed.names))
        loader.describe(artifact)
        loader.load(artifact, permit)

    def test_what_it_saves_is_its_own_format_and_loads_as_it_was(
        self, loader: Loader, model: object, permit: Permit, tmp_path: Path
    ) -> None:
        """Where nobody knows whose it is by anything but the file."""
        assert not loader.saves(object()), "it takes anything for one of its own"
        if model is None:
            assert type(loader).save is Loader.save, "it saves objects, so override the fixture 'model'"
            return
        assert loader.saves(model) or loader.confines
        path = tmp_path / f"saved{loader.suffix_for(model)}"
        loader.save(model, path)
        assert loader.recognises(path, path.name) in {*Likeness} - {Likeness.NONE}
        needed = loader.inspect(path)
        assert permit.code or (needed.tier < Tier.CODE and permit.names.issuperset(needed.names))
        assert self.alike(model, loader.load(path, permit))

    def test_looking_at_any_bytes_raises_nothing(
        self, loader: Loader, artifact: Path, tmp_path: Path
    ) -> None:
        """A folder of them, an empty file and what is not there included."""
        folder = tmp_path / "looked-at"
        folder.mkdir()
        for path in (folder, folder / "missing"):
            assert loader.recognises(path, artifact.name) in Likeness
        draw = random.Random(0)  # noqa: S311 (the same damage each time)
        for number in range(_DAMAGED):
            path = folder / artifact.name
            path.write_bytes(draw.randbytes(number))
            assert loader.recognises(path, artifact.name) in Likeness
            assert loader.recognises(folder, folder.name) in Likeness

    def test_damage_is_one_clear_error(self, loader: Loader, artifact: Path, permit: Permit) -> None:
        """Of this library's tree, and not the end of the process."""
        for path in [artifact] if artifact.is_file() else sorted(artifact.rglob("*")):
            if not path.is_file():
                continue
            content = path.read_bytes()
            draw = random.Random(0)  # noqa: S311 (the same damage each time)
            for _ in range(_DAMAGED):
                path.write_bytes(content[: draw.randrange(len(content) or 1)])
                with suppress(RegistryError, UntrustedNamesError):
                    loader.recognises(artifact, artifact.name)
                    loader.inspect(artifact)
                    loader.load(artifact, permit)
            path.write_bytes(content)

    def test_hostile_code_runs_only_where_code_may(
        self, loader: Loader, hostile: Path | None, mark: Path
    ) -> None:
        """And then it does: else the artifact proves nothing."""
        if hostile is None:
            return
        loader.recognises(hostile, hostile.name)
        with suppress(RegistryError):
            needed = loader.inspect(hostile)
            assert needed.tier >= Tier.NAMED, "it is called harmless"
        with suppress(RegistryError):
            loader.describe(hostile)
        with pytest.raises((RegistryError, UntrustedNamesError)):
            loader.load(hostile, Permit())
        assert not mark.exists(), "it ran without leave"
        with suppress(Exception):
            loader.load(hostile, Permit(code=True))
        assert mark.exists(), "it does not run at all"
