"""The laws every exporter keeps, as a pytest class for those who write one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelregistry.errors import IntegrityError
from modelregistry.exporters.base import Exporter, Source
from modelregistry.exports.check import verify_export
from modelregistry.exports.exporting import export
from modelregistry.exports.manifest import Exported
from modelregistry.plugins import EXPORTERS, register_exporter
from modelregistry.registry import Registry
from modelregistry.version import ModelVersion

Export = Callable[[ModelVersion, Path], Exported]


class ExporterSuite:
    """Everything an exporter promises. Override ``exporter``, and ``artifact`` if it takes models of some formats only.

    A subclass in a test module is all there is to write::

        class TestMyExporter(ExporterSuite):
            @pytest.fixture
            def exporter(self):
                return MyExporter()

    It needs ``git``.
    """

    @pytest.fixture
    def exporter(self) -> Exporter:
        """The exporter."""
        raise NotImplementedError("override the fixture 'exporter'")

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        """A file or folder that it lays out, made anew."""
        folder = tmp_path / "artifact"
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "weights.bin").write_bytes(bytes(range(256)) * 40)
        (folder / "settings, all.json").write_text('{"layers": 2}')
        return folder

    @pytest.fixture
    def registry(self, artifact: Path, tmp_path: Path) -> Registry:
        """A registry of this one model, as ``model@v0.1.0``."""
        root = tmp_path / "project"
        (root / "models").mkdir(parents=True)
        copied = root / "models" / artifact.name
        (shutil.copytree if artifact.is_dir() else shutil.copy)(artifact, copied)
        text = f"artifacts:\n  model:\n    path: models/{artifact.name}\n    type: model\n"
        (root / "dvc.yaml").write_text(text, encoding="utf-8")
        for arguments in (
            ("init", "--quiet"), ("config", "user.name", "Suite"), ("config", "user.email", "suite@example.com"),
            ("add", "--all"), ("commit", "--quiet", "--message", "model"),
        ):  # fmt: skip
            subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)  # noqa: S607 (the user's own)
        found = Registry(root)
        found.register("model", message="first")
        return found

    @pytest.fixture
    def version(self, registry: Registry) -> ModelVersion:
        """The version."""
        return registry.get("model")

    @pytest.fixture
    def export(self, exporter: Exporter) -> Export:
        """Exports a version with it."""
        register_exporter(exporter, replace=exporter.name in EXPORTERS)
        return lambda version, target: version.export(target, format=exporter.name)

    def test_it_has_a_name(self, exporter: Exporter) -> None:
        """By which ``format=`` asks for it."""
        assert exporter.name
        assert exporter.name == exporter.name.strip().lower()

    def test_what_it_lays_out_is_whole_where_it_is_received(
        self, export: Export, version: ModelVersion, tmp_path: Path
    ) -> None:
        """And again, nothing is written."""
        exported = export(version, tmp_path / "out")
        assert verify_export(tmp_path / "out", digest=version.digest) == exported.manifest
        assert export(version, tmp_path / "out").written == ()

    def test_the_same_version_gives_the_same_bytes(
        self, export: Export, registry: Registry, version: ModelVersion, tmp_path: Path
    ) -> None:
        """Whatever was said of it since, and wherever it lies."""
        first = export(version, tmp_path / "one").manifest
        registry.annotate("model", version.version, {"owner": "somebody else"}, message="later")
        registry.promote("model", version.version, "current", message="later")
        moved = tmp_path / "elsewhere" / "project"
        shutil.copytree(tmp_path / "project", moved)
        again = export(Registry(moved).get("model"), tmp_path / "two").manifest
        assert again.files == first.files, "its files depend on more than the version"

    def test_it_leaves_the_verified_bytes_alone(
        self, export: Export, version: ModelVersion, tmp_path: Path
    ) -> None:
        """They are the store's, and others read them."""
        before = _bytes_of(version.local_path())
        export(version, tmp_path / "out")
        assert _bytes_of(version.local_path()) == before

    def test_other_bytes_than_the_registered_ones_do_not_leave(
        self, exporter: Exporter, version: ModelVersion, tmp_path: Path
    ) -> None:
        """Where it packs files, it reads them by ``source.reading``, which tells."""
        caught: list[Source] = []

        class Catching(type(exporter)):  # type: ignore[misc]
            def arrange(self, source: Source, scratch: Path) -> Any:
                caught.append(source)
                return super().arrange(source, scratch)

        register_exporter(Catching(), replace=True)
        version.export(tmp_path / "right", format=exporter.name)
        register_exporter(exporter, replace=True)
        source = caught[0]
        wrong = replace(
            source, files=tuple(file.model_copy(update={"sha256": "0" * 64}) for file in source.files)
        )
        with pytest.raises(IntegrityError):
            export(
                version, tmp_path / "wrong", exporter, bring=lambda: wrong, bom=False, overwrite=False,
                storage_options=None, progress=False,
            )  # fmt: skip


def _bytes_of(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return {each.as_posix(): each.read_bytes() for each in files}
