"""What ``export_site`` writes for programs is what its published schema says, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema

import modelregistry as mr
from tests import schemas


def test_the_catalogue_fits_its_schema(project: Path, tmp_path: Path) -> None:
    registry = mr.Registry(project)
    registry.register("churn", metadata={"owner": "risk", "metrics": {"auc": 0.9}})
    registry.register("bundle", inputs=["s3://warehouse/claims.parquet"], params={"bins": 12})
    registry.promote("churn", "v0.1.0", "current")
    registry.annotate("churn", None, {"card": {"limits": "many"}})
    registry.withdraw("churn", "v0.1.0", then=mr.EMPTY)
    registry.deprecate("bundle")
    shutil.copytree(project, tmp_path / "other", symlinks=True)

    registry.export_site(tmp_path / "one")
    mr.Catalog({"risk": project, "growth": tmp_path / "other"}).export_site(tmp_path / "several")

    schema = json.loads((schemas.FOLDER / "catalogue.schema.json").read_text(encoding="utf-8"))
    check = jsonschema.Draft202012Validator(schemas.closed(schema))
    for site in ("one", "several"):
        found = json.loads((tmp_path / site / "catalogue.json").read_text(encoding="utf-8"))
        assert {model["name"] for model in found["models"]} == {"churn", "bundle"}
        check.validate(found)
    assert not check.is_valid({**found, "schema": 2})
