"""The public face as a type checker sees it: checked by ``nox -s types``, never run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, assert_type

from pydantic import BaseModel

import modelregistry as mr
from modelregistry.exporters.base import Exporter
from modelregistry.loaders.base import Loader

registry = mr.Registry(Path("."))
mr.Registry()
mr.Registry("https://example.org/team/models.git", max_age=0, offline=True)

registered = registry.register(
    "churn", path="models/churn.skops", rev="HEAD", bump="minor", metadata={"auc": 0.9}
)
assert_type(registered, mr.ModelVersion)
assert_type(registry.log_model(object(), "churn", bump="minor", example=[[1.0]]), mr.ModelVersion)
registry.register(
    "scorecard", inputs=["data/customers.csv", mr.Input(url="s3://bucket/x", digest="sha256:0")], code="train.py",
    params={"bins": 12}, metrics={"auc": 0.7},
)  # fmt: skip
assert_type(mr.Input.parse("base@v1.2.0"), mr.Input)
assert_type(registry.promote("churn", "v1.3.0", "current", expected=mr.EMPTY), mr.ModelVersion)
assert_type(registry.promote("churn", "v1.3.0", "current", expected="v1.2.0", keep=True), mr.ModelVersion)
assert_type(registry.rollback("churn", "current", message="worse in production"), mr.ModelVersion)
assert_type(registry.demote("churn", "current", dry_run=True), mr.ModelVersion)
assert_type(registry.withdraw("churn", "v1.1.0", then="v1.0.0"), mr.ModelVersion)
assert_type(registry.deprecate("churn"), None)
registry.promote("churn", "v1.3.0", "current", require={"metrics.auc": "> current + 0.01"})
assert_type(registry.promote(registered, stage="shadow", expected=registered), mr.ModelVersion)
assert_type(registry.promote("churn#shadow", stage="current"), mr.ModelVersion)
assert_type(registry.withdraw(registered, then=mr.EMPTY), mr.ModelVersion)
registry.annotate(registered, metadata={"owner": "risk"})
registry.demote("churn", "shadow", version=registered)
assert_type(registry["churn#current"], mr.ModelVersion)
assert_type(registry.get(registered), mr.ModelVersion)
registry.distrust(registered, dry_run=True)
registry.bundle([registered, "churn"], "churn.bundle", progress=False)
registry.impact(registered, progress=print)
registry.sync(progress=lambda done, total: None)
mr.load_model(registered, progress=True)
mr.Registry("https://example.org/team/models.git", progress=False)


class Owned(BaseModel):
    """What a caller wants of metadata."""

    owner: str


registry.register("churn", metadata={"owner": "risk"}, schema=Owned)
registry.annotate("churn", None, {"owner": "risk"}, schema=Owned)
measured = registry.evaluate("churn", data=Path("held-out.csv"), command=["python", "measure.py"], timeout=60)
assert_type(measured.unmet, tuple[str, ...])
moved = registry.import_mlflow(
    "sqlite:///mlflow.db",
    models=["churn"],
    names={"Churn": "churn"},
    stages={"canary": "shadow", "old": None},
    dry_run=True,
)
assert_type(moved, mr.Migration)
assert_type(moved[0], mr.MigrationStep)
assert_type(moved.renamed, dict[str, str])
metadata = registry.annotate("churn", "v1.3.0", {"owner": "risk", "limits": ["not for minors"], "old": None})
print(metadata["owner"])

imported = registry.import_model(
    "https://example.org/maker", "churn", reference="#current", as_name="leavers", push_data=False
)
assert_type(imported, mr.ModelVersion)
wanted = [
    mr.Import("git@example.org:maker", "churn#current"),
    mr.Import(Path("../maker"), "x.bin", rev="main", bump="minor"),
]
assert_type([each.name for each in registry.import_models(wanted, progress=True)], list[str])
update = registry.update_import("churn", rev="main", url=Path("../moved"))
assert_type(update.updated, bool)
assert_type(update.version, mr.ModelVersion)
assert_type((update.old, update.new), tuple[str, str])
tracked = registry.track(
    "s3://bucket/net", name="net", checksum="sha256:…", license="mit", inputs=["s3://corpus"], version_aware=True,
    storage_options={"anon": True},
)  # fmt: skip
assert_type(tracked, mr.ModelVersion)

version = registry.get("churn", stage="current", as_of=datetime.now(UTC))
assert_type(version, mr.ModelVersion)
assert_type(version.version, str)
assert_type(version.stages, tuple[str, ...])
assert_type(version.digest, str | None)
assert_type(version.local_path(), Path)
assert_type(version.open("weights.bin"), BinaryIO)
assert_type(version.load(trust=["mypkg.Clipper"]), object)
assert_type([(node.name, node.digest) for node in version.lineage.datasets], list[tuple[str, str | None]])
assert_type(list(version.params), list[str])
assert_type(list(version.metrics), list[str])
assert_type(version.environment, Mapping[str, str] | None)
if version.signature is not None:
    assert_type([column.name for column in version.signature.inputs], list[str | None])
assert_type(version.card.missing, tuple[str, ...])
assert_type(version.card.to_markdown(), str)
if version.evaluation is not None:
    assert_type(version.evaluation.command, tuple[str, ...] | None)
if version.usage is not None:
    assert_type(version.usage.example, str | None)
assert_type(version.convert("models", format="onnx", example=[[1.0]]), Path)

exported = version.export(
    "s3://models/churn", format="folder", storage_options={"anon": False}, overwrite=True
)
assert_type(exported, mr.Exported)
assert_type(exported.artifact, str | None)
assert_type(mr.verify_export("s3://models/churn", digest=version.digest), mr.ExportManifest)

compared = registry.compare("churn#current", version)
assert_type(compared.verdict, str)
assert_type(compared.incompatibilities, tuple[str, ...])
several = registry.compare("churn#current", version, "churn@v1.2.0", "churn@v1.1.0")
assert_type(several.verdict, str)
assert_type([each.verdict for each in several], list[str])
given = registry.trust("churn@v1.3.0", dry_run=True)
assert_type(given.names, tuple[str, ...])
assert_type(given.signer, str | None)
assert_type(registry.distrust("churn@v1.3.0"), None)

assert_type(registry.model("churn"), mr.Model)
searched = registry.search(
    "metrics.auc > 0.9", name=["a", "b"], since=datetime.now(UTC), sort="-metrics.auc", limit=5
)
assert_type(searched[0], mr.ModelVersion)
assert_type(searched.total, int)
assert_type(registry.best("churn", "metrics.auc", direction="min"), mr.ModelVersion)
assert_type(registry.trend("churn", "auc").to_vega_lite(), dict[str, Any])
try:
    registry.search(type="model", state="current", until="2026-01-31")
except mr.QueryError as refused:
    assert_type(refused.position, int)

assert_type(registry.export_site("public/", title="Models", url="https://git.example.com/models"), mr.Site)
catalog = mr.Catalog([registry, "other"])
assert_type(catalog.search("metrics.auc > 0.9", stage="current", limit=5)[0].version, mr.ModelVersion)
assert_type(catalog.export_site("public/"), mr.Site)

for model in registry.models(type=None):
    assert_type(model, mr.Model)
    assert_type(model.stages, Mapping[str, tuple[str, ...]])
first: mr.ModelVersion = registry.versions("churn", stage="inactive")[0]
assert_type(registry.history("churn").to_dicts(), list[dict[str, Any]])
assert_type(registry.compare("churn#current", "churn#shadow").to_dicts(), list[dict[str, Any]])
assert_type(version.lineage.to_dicts(), list[dict[str, Any]])
registry.models().to_pandas()
registry.trend("churn", "auc").to_polars()

assert_type(mr.load_model("churn", stage="current"), object)
try:
    mr.load_model("churn#current", registry=registry, trust="code")
except mr.ConflictError as error:
    assert_type(error.found, str | None)
except mr.UntrustedModelError as error:
    assert_type(error.names, tuple[str, ...])


@mr.register_exporter
class PoemExporter(Exporter):
    """Keeps its type."""


assert_type(PoemExporter.schemes, tuple[str, ...])
log = mr.open_backend("postgresql://registry@db.example.com/models", pool_size=2)
assert_type(mr.migrate("sqlite:///log.db"), None)


@mr.register_loader
class PoemLoader(Loader):
    """Keeps its type."""

    def poem(self) -> str:
        return self.name


assert_type(mr.register_loader(PoemLoader, replace=True), type[PoemLoader])
elsewhere = mr.Registry(".", backend=log)
mr.Registry(".", backend="git")
assert_type(elsewhere.copy_log("git").events, int)
assert_type(registry.mirror(log).left, tuple[str, ...])

told = mr.event_from_ref("refs/tags/churn#current#3", registry=Path("."))
assert_type(told.version, str | None)
assert_type(told.outputs, Mapping[str, str])
assert_type(told.write_github_output(), None)

assert_type(registry.bundle(["churn#current", version], "churn.bundle").versions, tuple[str, ...])
assert_type(mr.Registry.unbundle("churn.bundle", Path("models.git"), dry_run=True).events, tuple[str, ...])
