"""The exporters that ship, and the one of the docs, keep the laws; and one that breaks a law is caught."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from onnx import TensorProto, helper
from triton_exporter import TritonExporter

from modelregistry import plugins
from modelregistry.exporters.base import Arrangement, Exporter, ExportFile, Source
from modelregistry.plugins import EXPORTERS, load_class
from modelregistry.registry import Registry
from modelregistry.testing import ExporterSuite
from modelregistry.testing.exporters import Export
from modelregistry.version import ModelVersion


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporters that one test registers are none for the next."""
    monkeypatch.setattr(plugins, "_exporters", {})


class TestShippedExporters(ExporterSuite):
    @pytest.fixture(params=["folder", "oci", "tar.gz"])
    def exporter(self, request: pytest.FixtureRequest) -> Exporter:
        found: Exporter = load_class(EXPORTERS[request.param])()
        return found


class TestMLflowExporter(ExporterSuite):
    @pytest.fixture
    def exporter(self) -> Exporter:
        found: Exporter = load_class(EXPORTERS["mlflow"])()
        return found

    @pytest.fixture(params=["a file", "a folder that MLflow wrote"])
    def artifact(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        if request.param == "a file":
            (tmp_path / "rules.pkl").write_bytes(pickle.dumps({"a": 1}))
            return tmp_path / "rules.pkl"
        folder = tmp_path / "artifact"
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
        (folder / "MLmodel").write_text("flavors: {sklearn: {pickled_model: data/model.pkl}}\n")
        return folder


class TestTritonExporter(ExporterSuite):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return TritonExporter()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
        other = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "churn", [value], [other])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (tmp_path / "churn.onnx").write_bytes(model.SerializeToString())
        return tmp_path / "churn.onnx"


class Fickle(Exporter):
    """Breaks both laws that an author is most likely to break."""

    name = "fickle"

    def arrange(self, source: Source, scratch: Path) -> Arrangement:
        data = b"".join(source.local(file).read_bytes() for file in source.files)
        return Arrangement([ExportFile("all", data + os.urandom(8))])


class TestFickleExporter(ExporterSuite):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return Fickle()

    def test_the_same_version_gives_the_same_bytes(
        self, export: Export, registry: Registry, version: ModelVersion, tmp_path: Path
    ) -> None:
        with pytest.raises(AssertionError, match="depend on more than the version"):
            super().test_the_same_version_gives_the_same_bytes(export, registry, version, tmp_path)

    def test_other_bytes_than_the_registered_ones_do_not_leave(
        self, exporter: Exporter, version: ModelVersion, tmp_path: Path
    ) -> None:
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            super().test_other_bytes_than_the_registered_ones_do_not_leave(exporter, version, tmp_path)
