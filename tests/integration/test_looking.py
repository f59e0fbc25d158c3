"""To look at a registry or a version reads little, fetches nothing, and never fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from modelregistry import Catalog, Registry
from modelregistry.loading.following import Followed
from tests.integration.projects import commit, git, write
from tests.unit.test_display import drawn, printed


def looks(value: Any) -> str:
    """All that is shown of it, in every way."""
    page = value._repr_html_()
    assert page.startswith('<div class="modelregistry">')
    assert "\n" not in repr(value)
    return f"{drawn(value)}\n{page}\n{printed(value)}"


def test_a_registry_tells_where_it_is_and_who_holds_what(registry: Registry, plain: Path) -> None:
    registry.register("risk")
    registry.deprecate("risk")
    text = drawn(registry)
    assert [line.split() for line in text.splitlines() if line] == [
        ["Model", "registry"], ["at", os.fspath(plain)], ["models", "2"],
        ["model", "latest", "stages"], ["-----", "------", "---------------"],
        ["churn", "v0.1.1", "current:", "v0.1.0"], ["risk", "v0.1.0", "deprecated"],
    ]  # fmt: skip
    assert "current: v0.1.0" in registry._repr_html_()
    assert repr(registry) == f"Registry({os.fspath(plain)!r})"


def test_of_many_models_the_first_are_shown_and_the_rest_is_counted(plain: Path) -> None:
    registry = Registry(plain)
    names = [f"m{number:02}" for number in range(23)]
    write(plain / "dvc.yaml", "artifacts:\n" + "".join(f"  {name}: {{path: churn.json}}\n" for name in names))
    commit(plain)
    for name in names:
        registry.register(name)
    page = registry._repr_html_()
    assert "m19" in page and "m20" not in page
    assert "… and 3 more models: models() lists all" in page
    assert "models  23" in drawn(registry)


def test_an_empty_registry_is_shown_too(plain: Path) -> None:
    assert "models  0" in drawn(Registry(plain))


def test_a_version_shows_the_metrics_that_its_pipeline_recorded(served: Registry) -> None:
    version = served.get("churn#current")
    assert dict(version.metrics) == {"accuracy": pytest.approx(version.metrics["accuracy"])}
    assert f"accuracy: {version.metrics['accuracy']:.6g}" in drawn(version)


def test_nothing_is_fetched_to_look_at_what_is_elsewhere(
    registry: Registry, plain: Path, tmp_path: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "hub.git"
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), os.fspath(hub))
    git(hub, "config", "uploadpack.allowFilter", "true")
    mirrored = Registry(hub.as_uri(), max_age=0)
    version = mirrored.get("churn#current")
    hub.rename(tmp_path / "gone.git")  # whoever asks for it now fails
    for value in (mirrored, version):
        assert "churn" in looks(value)
    assert "fetched" in drawn(mirrored)
    assert "current: v0.1.0" in drawn(mirrored)
    with pytest.raises(Exception, match="hub"):
        mirrored.get("churn#current")


def test_what_can_not_be_read_is_said_and_not_raised(registry: Registry, plain: Path) -> None:
    version = registry.get("churn#current")
    shutil.rmtree(plain / ".git")
    assert "Its log can't be read" in looks(registry)
    assert "v0.1.0" in looks(version)


def test_a_dry_run_shows_what_would_be(registry: Registry) -> None:
    version = registry.register("churn", bump="minor", message="why not", dry_run=True)
    text = looks(version)
    assert "[dry run]" in text and "why not" in text and "load_model" not in text


def test_secrets_in_an_address_are_not_shown(registry: Registry) -> None:
    registry.target = "https://ann:s3cret@example.com/models.git"
    assert "s3cret" not in looks(registry) + repr(registry)


def test_what_stands_on_a_registry_is_shown(registry: Registry, plain: Path) -> None:
    catalog = Catalog({"<b>growth</b>": registry})
    assert "<b>" not in catalog._repr_html_() and "growth" in looks(catalog)
    assert os.fspath(registry.cache.folder) in looks(registry.cache)
    held = registry.get("churn#current")
    with Followed(lambda: held, str, every=None, on_change=None, on_error=None) as followed:
        assert "churn@v0.1.0" in looks(followed) and "churn@v0.1.0" in looks(followed.serving.version)
