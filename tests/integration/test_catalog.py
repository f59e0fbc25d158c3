"""Several registries are read as one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, git, init, write
from tests.integration.test_site import hrefs_lead_somewhere, pages, text_of


@pytest.fixture
def other(served: Registry, tmp_path: Path) -> Registry:
    """A registry beside the project's that has a third version, and a ``churn`` of its own as well."""
    shutil.copytree(served.target, tmp_path / "more" / "growth", symlinks=True)
    registry = Registry(tmp_path / "more" / "growth")
    registry.register("churn", rev="main", version="v10.0.0", metadata={"metrics": {"accuracy": 2}})
    return registry


@pytest.fixture
def catalog(served: Registry, other: Registry) -> mr.Catalog:
    return mr.Catalog([served, other.target])


def test_the_registries_are_called_by_the_last_part_of_their_address(catalog: mr.Catalog) -> None:
    assert [*catalog.registries] == ["project", "growth"]


def test_registries_of_one_name_are_called_by_their_whole_address(served: Registry, tmp_path: Path) -> None:
    twin = tmp_path / "twin" / "project"
    shutil.copytree(served.target, twin, symlinks=True)
    catalog = mr.Catalog([served, twin])
    assert [*catalog.registries] == [str(served.target), str(twin)]


def test_a_registry_that_is_named_twice_is_there_once_and_two_logs_of_one_place_need_names(
    served: Registry, tmp_path: Path
) -> None:
    (name,) = mr.Catalog([served, f"{served.target}/", Registry(served.target)]).registries
    assert name == "project"
    log = f"sqlite:///{tmp_path / 'log.sqlite'}"
    mr.migrate(log)
    other = Registry(served.target, backend=log)
    with pytest.raises(mr.InvalidInputError, match="pass a mapping"):
        mr.Catalog([served, other])
    named = mr.Catalog({"git": served, "database": other})
    assert {hit.registry for hit in named.search()} == {"git"}, "the other log is empty"


@pytest.mark.parametrize("name", [1, "", " "])
def test_a_name_that_is_no_text_is_refused(served: Registry, name: Any) -> None:
    with pytest.raises(mr.InvalidInputError, match="must be a text"):
        mr.Catalog({name: served})


def test_a_search_says_that_something_could_not_be_read(tmp_path: Path) -> None:
    root = init(tmp_path / "project")
    write(root / "dvc.yaml", "artifacts: {churn: {path: a.txt}}\nmetrics: [a.json]\n")
    write(root / "a.txt", "a")
    write(root / "a.json", "{no json")
    commit(root)
    Registry(root).register("churn")
    with pytest.warns(mr.RegistryWarning, match="could not be read whole") as caught:
        found = mr.Catalog([root]).search("metrics.auc == null")
    assert [each.filename for each in caught] == [__file__], "it points at the call"
    assert [*found.unread] == [("project", "churn@v0.1.0")]
    assert "could not be read whole" in str(found) and "could not be read whole" in found._repr_html_()


def test_a_search_finds_versions_of_all_and_says_where(catalog: mr.Catalog) -> None:
    found = catalog.search()
    assert [(hit.version.version, hit.registry) for hit in found] == [
        ("v10.0.0", "growth"), ("v0.2.0", "project"), ("v0.2.0", "growth"), ("v0.1.0", "project"), ("v0.1.0", "growth"),
    ]  # fmt: skip
    assert found.to_dicts()[0]["registry"] == "growth"
    assert "growth" in str(found)


def test_a_search_is_sorted_and_limited_over_all(catalog: mr.Catalog) -> None:
    found = catalog.search(sort="version", limit=3)
    assert [hit.version.version for hit in found] == ["v0.1.0", "v0.1.0", "v0.2.0"]
    assert (len(found), found.total) == (3, 5)
    assert "2 more were found" in str(found)
    best = catalog.search("metrics.accuracy > 0", sort="-metrics.accuracy")
    values = [hit.values["metrics.accuracy"] for hit in best]
    assert values == sorted(values, reverse=True) and len(values) == 5
    assert [hit.registry for hit in catalog.search(stage="current")] == ["project", "growth"]


def test_a_question_that_can_not_be_read_is_told(catalog: mr.Catalog) -> None:
    with pytest.raises(mr.QueryError, match="did you mean"):
        catalog.search("metric.accuracy > 1")


def test_impact_looks_into_all_and_calls_them_what_a_search_does(
    catalog: mr.Catalog, served: Registry
) -> None:
    found = catalog.impact(served.get("churn").lineage.code[0].path or "")
    assert (
        {row.registry for row in found} == {hit.registry for hit in catalog.search()} == {"project", "growth"}
    )


def test_a_site_of_several_has_the_models_of_all_each_in_its_own_folder(
    catalog: mr.Catalog, tmp_path: Path
) -> None:
    site = catalog.export_site(tmp_path / "public", title="All")
    assert {"project/models/churn/v0.2.0.html", "growth/models/churn/v10.0.0.html"} <= {*site.files}
    hrefs_lead_somewhere(site)
    index = text_of(pages(site)["index.html"])
    assert "2 models" in index and "growth" in index
    audit = pages(site)["audit.html"]
    assert '<label for="by-registry">Registry</label>' in audit and "<option>growth</option>" in audit
    assert audit.count('data-registry="growth"') == len(catalog.registries["growth"].events())
    models = json.loads((site.path / "catalogue.json").read_text())["models"]
    assert [(model["registry"], len(model["versions"])) for model in models] == [
        ("project", 2),
        ("growth", 3),
    ]
    assert catalog.export_site(tmp_path / "public", title="All").written == ()


@pytest.mark.parametrize("name", ["catalogue.json", "modelregistry-site.json", "audit.html", "index"])
def test_a_registry_that_is_called_as_a_file_of_the_site_has_another_folder(
    served: Registry, other: Registry, name: str, tmp_path: Path
) -> None:
    catalog = mr.Catalog({name: served, "growth": other})
    site = catalog.export_site(tmp_path / "public")
    hrefs_lead_somewhere(site)
    assert catalog.export_site(tmp_path / "public").written == ()


@pytest.mark.parametrize("registries", [[], {}, "one", Path("one")])
def test_what_is_not_several_registries_is_refused(registries: object) -> None:
    with pytest.raises(mr.InvalidInputError, match="a catalog"):
        mr.Catalog(registries)  # type: ignore[arg-type]


def test_one_that_can_not_be_reached_any_more_is_read_as_it_was_and_the_warning_points_at_the_call(
    served: Registry, other: Registry, tmp_path: Path, fresh_cache: Path
) -> None:
    hub = tmp_path / "hub.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(other.target), str(hub))
    catalog = mr.Catalog({"here": served, "hub": Registry(hub.as_uri(), max_age=0.001)})
    hub.rename(tmp_path / "gone.git")
    for ask in (
        lambda: len(catalog.search(stage="current")),
        lambda: len({row.registry for row in catalog.impact("train.py")}),
        lambda: (
            sum("hub/models/churn/v" in name for name in catalog.export_site(tmp_path / "public").files) - 1
        ),
    ):
        with pytest.warns(mr.PartialViewWarning, match="can't be fetched; reading it as it was") as caught:
            assert ask() == 2
        assert {each.filename for each in caught} == {__file__}


def test_an_error_says_which_registry_it_is_about(
    catalog: mr.Catalog, other: Registry, tmp_path: Path
) -> None:
    root = Path(other.target)
    write(root / ".modelregistry.toml", "[stages.current")
    commit(root, "Spoil the settings")
    for ask in (
        catalog.search,
        lambda: catalog.impact("train.py"),
        lambda: catalog.export_site(tmp_path / "public"),
    ):
        with pytest.raises(mr.InvalidSettingsError, match=r"is not TOML.* \(in the registry 'growth'\)$"):
            ask()
    with pytest.raises(mr.RepositoryNotFoundError, match=r"\(in the registry 'gone'\)$"):
        mr.Catalog({"here": other, "gone": tmp_path / "gone"})
