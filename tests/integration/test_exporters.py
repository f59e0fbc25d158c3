"""What the exporters lay out, read by others: an archive for SageMaker, an OCI artifact, a bill of materials."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft202012Validator

import modelregistry as mr
from modelregistry import Registry, plugins
from modelregistry.content.content import ContentReader
from modelregistry.exporters.base import Arrangement, Exporter, ExportFile, Source
from tests.integration.projects import TOP, commit, dvc, everything, write
from tests.integration.test_export import BUNDLE

FORMATS = ("folder", "tar.gz", "oci")


@pytest.fixture
def stocked(project: Path) -> Registry:
    registry = Registry(project)
    registry.register("churn", metadata={"license": "apache-2.0"})
    registry.register("bundle")
    return registry


def unpacked(archive: Path, into: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as file:
        file.extractall(into, filter="data")
    return everything(into)


# -- every exporter ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bom", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_the_same_version_gives_the_same_bytes_whatever_is_said_of_it_since(
    form: str, bom: bool, stocked: Registry, tmp_path: Path
) -> None:
    first = stocked.get("bundle").export(tmp_path / "one", format=form, bom=bom)
    stocked.annotate("bundle", "v0.1.0", {"owner": "risk"})
    stocked.promote("bundle", "v0.1.0", "current")
    again = Registry(stocked.target).get("bundle").export(tmp_path / "other", format=form, bom=bom)
    assert again.manifest.files == first.manifest.files
    assert again.manifest.stages == ("current",)


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_that_change_while_they_are_exported_are_no_export(
    form: str, stocked: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_changed(reader: ContentReader, version: mr.ModelVersion, *rest: Any) -> tuple[Path, str]:
        path, digest = verified(reader, version, *rest)
        (path / "b.json").chmod(0o644)
        (path / "b.json").write_bytes(b"[]")
        return path, digest

    verified = ContentReader._verified
    monkeypatch.setattr(ContentReader, "_verified", then_changed)
    with pytest.raises(mr.IntegrityError, match="changed while it was exported"):
        stocked.get("bundle").export(tmp_path / "out", format=form)
    with pytest.raises(mr.NotFoundError):
        mr.verify_export(tmp_path / "out")


@pytest.mark.parametrize("form", FORMATS)
def test_a_manifest_satisfies_the_published_schema(form: str, stocked: Registry, tmp_path: Path) -> None:
    schema = json.loads((TOP / "docs" / "reference" / "export-manifest.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    for name in ("churn", "bundle"):
        stocked.get(name).export(tmp_path / name, format=form)
        said = json.loads((tmp_path / name / "manifest.json").read_bytes())
        assert [*Draft202012Validator(schema).iter_errors(said)] == []
        assert [*Draft202012Validator(schema).iter_errors(said | {"digest": "md5:0"})]


def test_a_format_beside_another_is_replaced_only_when_asked(stocked: Registry, tmp_path: Path) -> None:
    version = stocked.get("bundle")
    version.export(tmp_path / "out")
    with pytest.raises(mr.InvalidInputError, match="by the exporter 'folder'"):
        version.export(tmp_path / "out", format="oci")
    version.export(tmp_path / "out", format="tar.gz", overwrite=True)
    assert everything(tmp_path / "out").keys() == {"model.tar.gz", "manifest.json"}


# -- tar.gz ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["churn", "bundle"])
def test_the_archive_has_the_models_files_at_its_root_and_nothing_of_this_machine(
    name: str, stocked: Registry, tmp_path: Path
) -> None:
    version = stocked.get(name)
    exported = version.export(tmp_path / "out", format="tar.gz")
    assert exported.artifact is None
    assert [file.path for file in exported.manifest.files] == ["model.tar.gz"]
    files = unpacked(tmp_path / "out" / "model.tar.gz", tmp_path / "unpacked")
    if name == "churn":
        assert files == {"churn.joblib": version.local_path().read_bytes()}
    else:
        assert files == {path.removeprefix("bundle/"): data for path, data in BUNDLE.items()}
    with tarfile.open(tmp_path / "out" / "model.tar.gz") as archive:
        members = archive.getmembers()
    assert [each.name for each in members] == sorted(files)
    facts = {(each.mtime, each.uid, each.gid, each.uname, each.gname, each.mode) for each in members}
    assert facts == {(0, 0, 0, "", "", 0o644)}
    contents = {file.path: file.sha256 for file in mr.verify_export(tmp_path / "out").contents}
    assert contents == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


# -- OCI ---------------------------------------------------------------------------------------------------


class Layout:
    """An OCI image layout, each blob of which is what its name says."""

    def __init__(self, folder: Path) -> None:
        self.blobs = {}
        for path in (folder / "blobs" / "sha256").iterdir():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
            self.blobs[f"sha256:{path.name}"] = path.read_bytes()
        assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
        (self.entry,) = json.loads((folder / "index.json").read_bytes())["manifests"]
        self.manifest = json.loads(self.blob(self.entry))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.files = {
            layer["annotations"]["org.cncf.model.filepath"]: (layer["mediaType"], self.blob(layer))
            for layer in self.manifest["layers"]
        }

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        data = self.blobs[descriptor["digest"]]
        assert len(data) == descriptor["size"]
        return data


def test_the_layers_of_an_oci_artifact_are_the_models_files(stocked: Registry, tmp_path: Path) -> None:
    version = stocked.get("bundle")
    version.export(tmp_path / "out", format="oci")
    layout = Layout(tmp_path / "out")
    prefix = "application/vnd.cncf.model."
    assert layout.files == {
        "bundle/weights/a.bin": (f"{prefix}weight.v1.raw", b"\0one"),
        "bundle/b.json": (f"{prefix}weight.config.v1.raw", b"{}"),
    }
    assert (
        layout.entry["mediaType"]
        == layout.manifest["mediaType"]
        == "application/vnd.oci.image.manifest.v1+json"
    )
    assert layout.manifest["artifactType"] == f"{prefix}manifest.v1+json"
    assert layout.manifest["config"]["mediaType"] == f"{prefix}config.v1+json"
    assert layout.entry["annotations"] == {"org.opencontainers.image.ref.name": "v0.1.0"}
    assert layout.config["modelfs"] == {
        "type": "layers", "diffIds": [layer["digest"] for layer in layout.manifest["layers"]],
    }  # fmt: skip
    notes = layout.manifest["annotations"]
    assert (notes["modelregistry.version"], notes["modelregistry.digest"]) == ("v0.1.0", version.digest)


def test_an_oci_artifact_says_what_the_model_is(stocked: Registry, tmp_path: Path) -> None:
    version = stocked.get("churn")
    version.export(tmp_path / "out", format="oci", bom=True)
    layout = Layout(tmp_path / "out")
    about = layout.config["descriptor"]
    assert about == {
        "createdAt": version.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"), "authors": ["Ann Author"], "name": "churn",
        "version": "0.1.0", "revision": version.source_rev, "description": "who leaves", "licenses": ["apache-2.0"],
    }  # fmt: skip
    assert layout.config["config"] == {"format": "sklearn"}
    assert layout.manifest["layers"][0]["digest"] == version.digest
    kind, text = layout.files["bom.cdx.json"]
    assert kind == "application/vnd.cncf.model.doc.v1.raw"
    assert json.loads(text) == version.to_cyclonedx()


# -- bills of materials ------------------------------------------------------------------------------------


def validated(bom: bytes) -> dict[str, Any]:
    """What it says, once the official schema has nothing against it."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom.decode()) is None
    return json.loads(bom)


@pytest.mark.parametrize("form", ["folder", "tar.gz"])
def test_a_bill_of_materials_lies_beside_the_files_and_is_listed(
    form: str, stocked: Registry, tmp_path: Path
) -> None:
    version = stocked.get("churn")
    version.export(tmp_path / "out", format=form)
    assert version.export(tmp_path / "out", format=form, bom=True).written == (
        "bom.cdx.json",
        "manifest.json",
    )
    said = validated((tmp_path / "out" / "bom.cdx.json").read_bytes())
    assert said == version.to_cyclonedx()
    assert "bom.cdx.json" in [file.path for file in mr.verify_export(tmp_path / "out").files]
    assert version.export(tmp_path / "out", format=form, bom=True).written == ()
    assert version.export(tmp_path / "out", format=form).written == ()


def test_it_has_the_model_its_card_its_data_and_what_it_was_made_with(
    stocked: Registry, tmp_path: Path
) -> None:
    version = stocked.get("churn")
    said = validated(json.dumps(version.to_cyclonedx()).encode())
    model = said["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "churn", "v0.1.0")
    assert version.digest is not None
    assert model["hashes"] == [{"alg": "SHA-256", "content": version.digest.removeprefix("sha256:")}]
    assert model["licenses"] == [{"expression": "Apache-2.0"}]
    assert model["tags"] == ["tabular", "iris"]
    assert [each["name"] for each in model["components"]] == ["churn.joblib"]
    card = model["modelCard"]
    (metric,) = card["quantitativeAnalysis"]["performanceMetrics"]
    assert metric["type"] == "accuracy"
    assert 0.9 < float(metric["value"]) <= 1
    assert card["modelParameters"]["inputs"]
    assert {"name": "modelregistry:param:params.yaml:scale", "value": "0.5"} in card["properties"]
    made_with = {each["name"]: each["version"] for each in said["components"] if each["type"] != "data"}
    assert version.environment is not None
    assert made_with.pop("Python") == version.environment["python"]
    assert made_with.items() <= version.environment.items()
    number = version.environment["scikit-learn"]
    assert f"pkg:pypi/scikit-learn@{number}" in said["dependencies"][0]["dependsOn"]


def test_the_data_of_the_lineage_is_in_the_card_with_its_hash(project: Path, tmp_path: Path) -> None:
    write(project / "data" / "train.csv", "1,2\n")
    write(project / "fit.py", "open('models/fit.json', 'w').write(open('data/train.csv').read())\n")
    dvc(project, "add", "--quiet", "data/train.csv")
    text = (project / "dvc.yaml").read_text() + "  fit: {path: models/fit.json, type: model}\n"
    step = f"  fit:\n    cmd: {sys.executable} fit.py\n    deps: [fit.py, data/train.csv]\n    outs: [models/fit.json]\n"
    write(project / "dvc.yaml", text.replace("stages:\n", f"stages:\n{step}", 1))
    dvc(project, "repro", "--quiet", "fit")
    commit(project)
    version = Registry(project).register("fit")
    said = validated(json.dumps(version.to_cyclonedx()).encode())
    (data,) = [each for each in said["components"] if each["type"] == "data"]
    assert data["name"] == "data/train.csv"
    assert data["hashes"] == [{"alg": "MD5", "content": hashlib.md5(b"1,2\n").hexdigest()}]
    card = said["metadata"]["component"]["modelCard"]
    assert card["modelParameters"]["datasets"] == [{"ref": data["bom-ref"]}]
    assert data["bom-ref"] in said["dependencies"][0]["dependsOn"]


def test_what_the_team_says_of_use_and_limits_is_in_the_card(stocked: Registry) -> None:
    card = {
        "intended_use": "rank customers", "limits": "not for minors", "contact": "risk@example.com",
        "license": "mit", "pipeline_tag": "tabular-classification",
    }  # fmt: skip
    stocked.annotate("bundle", "v0.1.0", {"card": card, "metrics": {"auc": 0.9}})
    model = validated(json.dumps(stocked.get("bundle").to_cyclonedx()).encode())["metadata"]["component"]
    assert model["licenses"] == [{"expression": "MIT"}]
    assert {"name": "modelregistry:contact", "value": "risk@example.com"} in model["properties"]
    assert model["modelCard"]["considerations"] == {
        "useCases": ["rank customers"], "technicalLimitations": ["not for minors"],
    }  # fmt: skip
    assert model["modelCard"]["modelParameters"] == {"task": "tabular-classification"}
    assert model["modelCard"]["quantitativeAnalysis"] == {
        "performanceMetrics": [{"type": "auc", "value": "0.9"}]
    }


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ("MIT", [{"expression": "MIT"}]),
        ("our own terms", [{"license": {"name": "our own terms"}}]),
        (["MIT", "CC-BY-4.0"], [{"license": {"name": "MIT"}}, {"license": {"name": "CC-BY-4.0"}}]),
        ("", None),
        (7, None),
    ],
)
def test_licenses_are_told_as_the_metadata_has_them(terms: Any, told: Any, stocked: Registry) -> None:
    stocked.annotate("bundle", "v0.1.0", {"license": terms})
    said = validated(json.dumps(stocked.get("bundle").to_cyclonedx()).encode())
    assert said["metadata"]["component"].get("licenses") == told


# -- exporters of others -----------------------------------------------------------------------------------


class Laid(Exporter):
    """Lays out whatever a test says."""

    name = "laid"
    paths = ("a",)

    def arrange(self, source: Source, scratch: Path) -> Arrangement:
        (scratch / "made").write_bytes(b"made")
        return Arrangement([ExportFile(path, scratch / "made") for path in self.paths])


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporters that one test registers are none for the next."""
    monkeypatch.setattr(plugins, "_exporters", {})


def test_an_exporter_of_ones_own_is_found_by_its_name(stocked: Registry, tmp_path: Path) -> None:
    mr.register_exporter(Laid)
    stocked.get("bundle").export(tmp_path / "out", format="laid", bom=True)
    assert everything(tmp_path / "out").keys() == {"a", "bom.cdx.json", "manifest.json"}


def test_a_full_disk_is_told_with_what_to_do(stocked: Registry, tmp_path: Path) -> None:
    @mr.register_exporter
    class Large(Laid):
        name = "large"

        def arrange(self, source: Source, scratch: Path) -> Arrangement:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(mr.ExportError, match=r"exporter 'large'.*No space left.*TMPDIR"):
        stocked.get("bundle").export(tmp_path / "out", format="large")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("paths", [("../a",), ("/a",), ("",), ("a//b",), ("a", "a"), ("manifest.json",)])
def test_paths_that_no_target_can_have_are_refused(
    paths: tuple[str, ...], stocked: Registry, tmp_path: Path
) -> None:
    class Odd(Laid):
        name = "odd"

    Odd.paths = paths
    mr.register_exporter(Odd)
    with pytest.raises(mr.ExportError, match="exporter 'odd'"):
        stocked.get("bundle").export(tmp_path / "out", format="odd")
    assert not (tmp_path / "out").exists()


def test_an_exporter_that_ships_is_replaced_only_when_asked() -> None:
    class Folder(Laid):
        name = "folder"

    with pytest.raises(mr.InvalidInputError, match="replace=True"):
        mr.register_exporter(Folder)
    with pytest.raises(mr.InvalidInputError, match="no exporter"):
        mr.register_exporter(object)  # type: ignore[type-var]


def test_an_exporter_of_an_installed_package_is_found_by_its_entry_point(
    stocked: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "poems-1.0.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: poems\nVersion: 1.0\n")
    write(
        info / "entry_points.txt",
        "[modelregistry.exporters]\npoem = poems:Poem\nbroken = poems_not_there:Poem\n",
    )
    write(
        tmp_path / "site" / "poems.py",
        "from modelregistry.exporters.base import *\n"
        "class Poem(Exporter):\n"
        "    name = 'poem'\n"
        "    def arrange(self, source, scratch):\n"
        "        return Arrangement([ExportFile('poem.txt', source.version.name.encode())])\n",
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    stocked.get("bundle").export(tmp_path / "out", format="poem")
    assert (tmp_path / "out" / "poem.txt").read_text() == "bundle"
    with pytest.raises(mr.MissingDependencyError, match="poems_not_there"):
        stocked.get("bundle").export(tmp_path / "out", format="broken")
    with pytest.raises(mr.InvalidInputError, match=r"'broken', 'folder'.*'poem'"):
        stocked.get("bundle").export(tmp_path / "out", format="prose")
