"""A registry is published as a static site: the same bytes for the same registry, and strangers' text is only text."""

from __future__ import annotations

import ast
import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import Edge, Node
from modelregistry.log.events import Event
from modelregistry.site import pages as pages_of_site
from modelregistry.site import writer as writer_of_site
from modelregistry.site.lineage import lineage_shown, version_pages
from modelregistry.site.pages import ModelFacts
from tests.integration.projects import TOP, commit, dvc, git, init, write

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title></style></script><b>", "{{ 7 * 7 }}",
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe", "نموذج", "🦊" * 50, "javascript:alert(1)", "]]><!--", "&lt;b&gt;", "a\x01b\x1b[31m",
)  # fmt: skip


class Page(HTMLParser):
    """What a browser makes of a page, as far as the tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    @property
    def links(self) -> Iterator[str]:
        return (values["href"] or "" for tag, values in self.tags if tag == "a")


def pages(site: mr.Site) -> dict[str, str]:
    return {name: (site.path / name).read_text("utf-8") for name in site.files if name.endswith(".html")}


def text_of(page: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.partition("<main")[2])).split())


def hrefs_lead_somewhere(site: mr.Site) -> None:
    for name, text in pages(site).items():
        for link in Page(text).links:
            place = (site.path / name).parent / unquote(link.partition("#")[0])
            assert link.startswith("#") or place.is_file(), f"{name} links to {link}"
            assert not link.startswith("#") or f'id="{link[1:]}"' in text, f"{name} has no {link}"


def test_a_site_has_a_page_for_each_model_and_version_and_all_links_lead_somewhere(
    served: Registry, tmp_path: Path
) -> None:
    site = served.export_site(tmp_path / "public", title="Our models")
    assert site.files == (
        "audit.html", "catalogue.json", "index.html", "models/churn/index.html", "models/churn/v0.1.0.html",
        "models/churn/v0.2.0.html",
    )  # fmt: skip
    hrefs_lead_somewhere(site)
    assert "by-registry" not in pages(site)["audit.html"], "there is one only"
    index = text_of(pages(site)["index.html"])
    assert "churn" in index and "current v0.1.0" in index and "v0.2.0" in index


def test_the_page_of_a_version_says_what_the_registry_knows(served: Registry, tmp_path: Path) -> None:
    version = served.get("churn", version="v0.2.0")
    shown = text_of(pages(served.export_site(tmp_path / "public"))["models/churn/v0.2.0.html"])
    assert str(version.digest) in shown and version.rev in shown and version.author in shown
    assert "accuracy" in shown and f"{version.metrics['accuracy']:.6g}" in shown
    assert "Against v0.1.0" in shown and "Nobody has said yet" in shown
    assert all(node.name in shown for node in version.lineage.steps)
    assert all(str(file.sha256) in shown for file in version.files())


def test_the_page_of_a_version_says_all_that_is_other_than_in_the_one_that_serves(
    served: Registry, tmp_path: Path
) -> None:
    page = pages(served.export_site(tmp_path / "public"))["models/churn/v0.2.0.html"]
    section = page.partition('<h2 id="diff"')[2].partition("</section>")[0]
    shown = text_of(f"<main>{section}")
    compared = served.compare("churn#current", "churn@v0.2.0")
    assert compared.verdict in shown
    said = {row.what for row in compared.differences} - {"version", "created_at", "author", "state"}
    assert {html.unescape(each) for each in re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', section)} == said
    assert any(each.startswith("metrics.") for each in said), "of what is recorded, too"


def test_a_page_says_of_each_metric_what_a_comparison_says_and_no_two_look_alike_that_are_not(
    served: Registry, tmp_path: Path
) -> None:
    better = {"a": 0.912345671, "b": 1_234_567, "c": 2}, {"a": 0.912345672, "b": 1_234_568, "c": 1}
    for version, metrics, directions in (
        ("v0.1.0", better[0], {"b": "higher"}), ("v0.2.0", better[1], {"c": "lower"}), (None, {}, {"a": "higher", "c": "higher"}),
    ):  # fmt: skip
        known = {name: {"direction": direction} for name, direction in directions.items()}
        served.annotate(
            "churn", version, {"evaluation": {"metrics": known}, **({"metrics": metrics} if metrics else {})}
        )
    verdict = served.compare("churn#current", "churn@v0.2.0").verdict
    assert "; better: a, b, c;" in verdict
    shown = text_of(pages(site := served.export_site(tmp_path / "public"))["models/churn/v0.2.0.html"])
    assert verdict in shown
    for row in (
        "a 0.912345672 better 0.912345671 higher",
        "b 1234568 better 1234567 higher",
        "c 1 better 2 lower",
    ):
        assert row in shown
    assert "metrics.a 0.912345671 0.912345672" in shown
    assert "1234568" in text_of(pages(site)["models/churn/index.html"])


def test_a_page_shows_a_few_hundred_rows_of_very_many_and_says_so(registry: Registry, tmp_path: Path) -> None:
    metrics = {f"m{number}": number for number in range(4_000)}
    version = registry.register("churn", metadata={"metrics": metrics})
    site = registry.export_site(tmp_path / "public")
    page = pages(site)[f"models/churn/{version.version}.html"]
    assert "and 3,50" in text_of(page) and len(page) < 400_000
    assert '"m3999": 3999' in (site.path / "catalogue.json").read_text().replace('":', '": ')


def test_the_code_that_a_page_shows_loads_the_model(served: Registry, tmp_path: Path) -> None:
    text = pages(served.export_site(tmp_path / "public"))["models/churn/index.html"]
    code = html.unescape(text.partition("<pre")[2].partition("<code>")[2].partition("</code>")[0])
    assert 'load_model("churn#current")' in code
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(type(model).__name__)"], cwd=served.target, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(TOP)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_code_names_a_version_where_a_stage_has_several_holders(
    registry: Registry, tmp_path: Path
) -> None:
    root = Path(registry.target)
    write(root / ".modelregistry.toml", "[stages.shadow]\n[stages.current]\nexclusive = false\n")
    commit(root, "Share a stage")
    registry.promote("churn", "v0.1.1", "current")
    registry.promote("churn", "v0.1.0", "current")
    page = html.unescape(pages(registry.export_site(tmp_path / "public"))["models/churn/index.html"])
    assert 'load_model("churn@v0.1.1")' in page


def test_the_code_names_a_url_of_any_letters(registry: Registry, tmp_path: Path) -> None:
    url = "https://git.example.com/équipe/🦊.git"
    page = pages(registry.export_site(tmp_path / "public", url=url))["models/churn/index.html"]
    (said,) = re.findall(r"registry=(.*)\)", html.unescape(page))
    assert ast.literal_eval(said) == url


def test_the_code_names_the_remote_without_its_password(served: Registry, tmp_path: Path) -> None:
    git(Path(served.target), "remote", "add", "origin", "https://me:secret@git.example.com/models.git")
    site = Registry(served.target).export_site(tmp_path / "public")
    everything = "".join(pages(site).values())
    assert "secret" not in everything and "https://git.example.com/models.git" in everything


def test_the_same_registry_gives_the_same_bytes_and_the_second_time_writes_nothing(
    served: Registry, tmp_path: Path
) -> None:
    first = served.export_site(tmp_path / "one")
    clone = tmp_path / "elsewhere" / "clone"
    shutil.copytree(served.target, clone, symlinks=True)
    other = Registry(clone, remote=None).export_site(tmp_path / "two")
    assert first.files == other.files
    assert all((first.path / name).read_bytes() == (other.path / name).read_bytes() for name in first.files)
    assert served.export_site(tmp_path / "one").written == ()


def test_a_change_of_one_model_writes_its_pages_and_the_lists(registry: Registry, tmp_path: Path) -> None:
    registry.register("risk", rev="main~1")
    registry.export_site(tmp_path / "public")
    registry.register("risk", rev="main")
    site = registry.export_site(tmp_path / "public")
    assert site.written == (
        "audit.html", "catalogue.json", "index.html", "models/risk/index.html", "models/risk/v0.1.1.html",
    )  # fmt: skip


def test_a_registry_without_a_model_has_a_site(tmp_path: Path) -> None:
    root = init(tmp_path / "empty")
    write(root / "readme.md", "nothing yet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "Begin")
    site = Registry(root).export_site(tmp_path / "public")
    assert "No model is registered yet" in pages(site)["index.html"]
    assert json.loads((site.path / "catalogue.json").read_text())["models"] == []


def test_a_withdrawn_version_is_shown_and_not_offered(registry: Registry, tmp_path: Path) -> None:
    registry.withdraw("churn", "v0.1.1", message="Trained on the wrong month")
    site = registry.export_site(tmp_path / "public")
    page = pages(site)["models/churn/v0.1.1.html"]
    assert "withdrawn" in text_of(page) and "Trained on the wrong month" in text_of(page)
    assert "load_model" not in page.partition("<main")[2]


def test_what_can_not_be_read_is_told_and_the_rest_is_there(registry: Registry, tmp_path: Path) -> None:
    root = Path(registry.target)
    write(root / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model, meta: {card: gone.md}}\n")
    rev = commit(root, "Name a card that is not there")
    with pytest.warns(mr.RegistryWarning, match="churn will have no card"):
        registry.register("churn", rev=rev, version="v0.2.0")
    text = text_of(pages(registry.export_site(tmp_path / "public"))["models/churn/v0.2.0.html"])
    assert "Not all could be read" in text and "gone.md" in text and "v0.2.0 registered" in text


def test_metrics_that_dvc_keeps_elsewhere_are_said_to_be_missing_and_shown_once_they_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = init(tmp_path / "project")
    dvc(root, "init", "--quiet")
    dvc(root, "remote", "add", "--quiet", "--default", "storage", os.fspath(tmp_path / "storage"))
    stage = "cmd: cp made.json churn.json && cp made.json metrics.json\n    outs: [churn.json]\n    metrics: [metrics.json]"
    write(root / "dvc.yaml", f"stages:\n  train:\n    {stage}\nartifacts:\n  churn: {{path: churn.json}}\n")
    write(root / "made.json", '{"auc": 0.75}')
    dvc(root, "repro", "--quiet")
    commit(root)
    dvc(root, "push", "--quiet")
    Registry(root).register("churn")
    here = Registry(root).export_site(tmp_path / "here")
    shutil.rmtree(root / ".dvc" / "cache")
    monkeypatch.setenv("MODELREGISTRY_CACHE", os.fspath(tmp_path / "fresh"))
    page = "models/churn/v0.1.0.html"
    shown = text_of(pages(Registry(root).export_site(tmp_path / "public"))[page])
    assert "Not all could be read: 'metrics.json' is kept by DVC, and is not in the cache" in shown
    dvc(root, "fetch", "--quiet", "--all-tags", "metrics.json")  # as the page on publishing has it
    again = Registry(root).export_site(tmp_path / "public")
    assert page in again.written and contents(again) == contents(here)


def boxes(page: str) -> list[str]:
    """Where the boxes of the first picture lead."""
    picture = page.partition('<svg class="lineage"')[2].partition("</svg>")[0]
    return re.findall(r'<a class="n [^"]*" href="([^"]*)"', picture)


def test_a_box_leads_to_the_page_of_the_version_that_it_is_and_else_to_what_is_known_of_it(
    registry: Registry, tmp_path: Path
) -> None:
    root = Path(registry.target)
    write(root / "dvc.yaml", "artifacts:\n  card: {path: card.txt, type: model}\n")
    write(root / "card.txt", "age 0.3")
    rev = commit(root, "Add a scorecard")
    made = registry.register("card", rev=rev, inputs=["churn@v0.1.0"], params={"bins": 12})
    site = registry.export_site(tmp_path / "public")
    page = pages(site)["models/card/v0.1.0.html"]
    assert "../../models/churn/v0.1.0.html" in boxes(page)
    told = json.loads((site.path / "catalogue.json").read_text())["models"]
    (card,) = (model for model in told if model["name"] == "card")
    assert {each["version"] for each in card["versions"][0]["made_from"]} == {"churn@v0.1.0", None}
    assert len(boxes(page)) == len(made.lineage) and "#n0" in boxes(page), "not to the page that one is on"
    assert "bins 12" in text_of(page)
    hrefs_lead_somewhere(site)


def test_a_version_of_another_registry_is_known_by_the_address_of_that(registry: Registry) -> None:
    address = "https://git.example.com/risk/models"
    (model,) = (
        ModelFacts(history, versions, None, prefix="risk/", registry="risk", address=f"{address}.git")
        for history, versions in registry._as_source(None).models()
    )
    page = version_pages([model])(model)
    node = Node("model", "model", "model.bin", repository=address, version="churn@v0.1.0")
    assert page(node) == page(replace(node, repository=None)) == "risk/models/churn/v0.1.0.html"
    assert page(replace(node, repository="https://elsewhere.example.com/models")) is None
    assert page(replace(node, version="churn@v9.9.9")) is None
    assert page(replace(node, version=None)) is None


def test_many_nodes_are_listed_in_part_and_each_box_leads_somewhere() -> None:
    files = [Node(f"code:{n}", "code", f"{n}.py") for n in range(300)]
    model = Node("model", "model", "model.bin")
    lineage = Lineage([model, *files], [Edge(model.id, each.id) for each in files])
    shown = lineage_shown(lineage, lambda _: None, "", str)
    assert len(shown["rows"]) == 200 and shown["left_out"] == 101
    places = {*re.findall('href="([^"]*)"', shown["picture"] + shown["opened"])}
    assert places == {"#lineage-open", "#lineage-list", *(f"#n{n}" for n in range(200))}


def test_each_page_has_only_the_script_that_it_uses(registry: Registry, tmp_path: Path) -> None:
    text = pages(registry.export_site(tmp_path / "public"))
    assert "data-filters" in text["index.html"].partition("<script>")[2]
    for name, page in text.items():
        script = page.partition("<script>")[2]
        assert ("svg.lineage" in script) == ("made from" in page.lower() and len(boxes(page)) > 2), name
        assert ("clipboard" in script) == ('class="copy"' in page), name


def test_strangers_text_is_only_text(plain: Path, tmp_path: Path) -> None:
    git(plain, "config", "user.name", "<script>alert(2)</script>")
    registry = Registry(plain)
    for number, text in enumerate(HOSTILE):
        registry.register(
            "churn", version=f"v1.0.{number}", message=text, metadata={text[:20] or "x": text, "list": [text]}
        )
    card = {key: "\n\n".join(HOSTILE) for key in ("summary", "limits", "usage", "contact", "text")}
    registry.annotate("churn", None, {"card": card, "owner": HOSTILE[0]}, message=HOSTILE[1])
    site = registry.export_site(tmp_path / "public", title="<b>&'\"\N{RIGHT-TO-LEFT OVERRIDE}")
    ours = elements_of_templates()
    for name, text in pages(site).items():
        page = Page(text)
        assert page.names <= ours | {
            *("svg", "g", "path", "rect", "text"),  # of pictures
            "strong",
            "em",
            "p",
            "ul",
            "li",
            "hr",
            "br",
            "blockquote",
            "h3",
            "h4",
            "code",
        }, name
        scripts = [values for tag, values in page.tags if tag == "script"]
        assert scripts == [{}]
        for tag, values in page.tags:
            assert not any(key.startswith("on") or key == "style" for key in values), (tag, values)
            assert tag != "img" or (values["src"] or "").startswith("data:image/svg+xml;base64,")
        assert all(
            not re.match(r"\s*(javascript|data|vbscript):", link, re.IGNORECASE) for link in page.links
        )
        assert "\x01" not in text and "\x1b" not in text
    shown = text_of(pages(site)["models/churn/index.html"])
    assert HOSTILE[0] in shown and HOSTILE[3] in shown
    hrefs_lead_somewhere(site)
    json.loads((site.path / "catalogue.json").read_text())


def elements_of_templates() -> set[str]:
    """What pages without a stranger's word have."""
    templates = Path(mr.__file__).parent / "site" / "templates"
    return {name for path in templates.glob("*.html") for name in Page(path.read_text()).names}


def test_the_policy_of_a_page_allows_its_own_script_and_no_other(registry: Registry, tmp_path: Path) -> None:

    for text in pages(registry.export_site(tmp_path / "public")).values():
        (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
        for tag in ("style", "script"):
            (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            assert f"{tag}-src &#39;sha256-{digest}&#39;" in policy
        assert policy.startswith("default-src &#39;none&#39;")


def test_numbers_that_are_none_do_not_spoil_the_json(registry: Registry, tmp_path: Path) -> None:
    registry.annotate("churn", "v0.1.1", {"metrics": {"auc": 0.5, "odd": "high", "deep": {"loss": 1}}})
    site = registry.export_site(tmp_path / "public")
    (model,) = json.loads((site.path / "catalogue.json").read_text(), parse_constant=pytest.fail)["models"]
    assert model["versions"][0]["metrics"] == {"auc": 0.5, "deep.loss": 1}
    assert model["stages"] == {"current": ["v0.1.0"]}
    assert [event["kind"] for event in model["events"]] == ["register", "register", "assign", "annotate"]
    assert "0.5" in text_of(pages(site)["models/churn/index.html"])


def test_a_folder_that_is_no_site_is_refused(registry: Registry, tmp_path: Path) -> None:
    write(tmp_path / "public" / "thesis.txt", "years of work")
    with pytest.raises(mr.InvalidInputError, match="choose an empty folder"):
        registry.export_site(tmp_path / "public")
    assert [path.name for path in (tmp_path / "public").iterdir()] == ["thesis.txt"]


def test_the_events_of_a_model_are_not_gone_through_for_each_version(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    version_in = pages_of_site.version_in

    def ask(model: ModelFacts, event: Event) -> str | None:
        asked.append(event.source)
        return version_in(model, event)

    monkeypatch.setattr(pages_of_site, "version_in", ask)

    def times(name: str) -> int:
        asked.clear()
        registry.export_site(tmp_path / name)
        return asked.count("churn@v0.1.0")

    before = times("few")
    registry.register("churn", rev="main")
    registry.register("churn", rev="main", version="v1.0.0", metadata={"owner": "risk"})
    assert times("more") == before


def test_many_events_are_on_several_pages_of_which_the_full_ones_stay(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelregistry.site.site._EVENTS_A_PAGE", 2)
    first = registry.export_site(tmp_path / "public")
    assert [name for name in first.files if name.startswith("audit")] == ["audit.html", "audit/1.html"]
    registry.annotate("churn", "v0.1.1", {"owner": "risk"})
    second = registry.export_site(tmp_path / "public")
    assert "audit.html" in second.written and "audit/1.html" not in second.written
    assert [pages(second)[name].count("data-kind=") for name in ("audit/1.html", "audit.html")] == [2, 2]
    hrefs_lead_somewhere(second)


def contents(site: mr.Site) -> dict[str, bytes]:
    return {path.relative_to(site.path).as_posix(): path.read_bytes() for path in files_in(site.path)}


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_site_that_is_exported_again_and_again_is_what_a_new_one_would_be(
    registry: Registry, tmp_path: Path
) -> None:
    changes: list[Callable[[], object]] = [
        lambda: registry.register("risk", rev="main", inputs=["churn@v0.1.1"]),
        lambda: registry.annotate("churn", "v0.1.1", {"metrics": {"auc": 0.9}}),
        lambda: registry.promote("churn", "v0.1.1", "current"),
        lambda: registry.register("churn", rev="main"),
        lambda: registry.withdraw("churn", "v0.1.2"),
        lambda: registry.deprecate("risk", message="No longer asked for"),
    ]
    for number, change in enumerate(changes):
        change()
        again = registry.export_site(tmp_path / "again")
        assert contents(again) == contents(registry.export_site(tmp_path / f"new-{number}"))
    titled = registry.export_site(tmp_path / "again", title="Ours")
    assert contents(titled) == contents(registry.export_site(tmp_path / "titled", title="Ours"))
    assert {"models/churn/v0.1.0.html", "models/risk/index.html"} <= {*titled.written}


def test_only_the_versions_of_models_that_moved_are_looked_at_again(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register("risk", rev="main~1", inputs=["churn@v0.1.1"])
    looked: list[str] = []
    read_version = pages_of_site.read_version

    def look(version: mr.ModelVersion, signer: Any) -> Any:
        looked.append(version.reference)
        return read_version(version, signer)

    monkeypatch.setattr(pages_of_site, "read_version", look)
    registry.export_site(tmp_path / "public")
    assert sorted(looked) == ["churn@v0.1.0", "churn@v0.1.1", "risk@v0.1.0"]
    looked.clear()
    assert Registry(registry.target).export_site(tmp_path / "public").written == ()
    assert looked == []
    registry.register("risk", rev="main")
    registry.export_site(tmp_path / "public")
    assert sorted(looked) == ["risk@v0.1.0", "risk@v0.1.1"]
    looked.clear()
    registry.annotate("churn", "v0.1.0", {"owner": "risk"})
    registry.export_site(tmp_path / "public")
    assert sorted(looked) == ["churn@v0.1.0", "churn@v0.1.1", "risk@v0.1.0", "risk@v0.1.1"], (
        "risk was made from churn"
    )


def test_what_could_not_be_read_is_looked_at_again(registry: Registry, tmp_path: Path) -> None:
    root = Path(registry.target)
    tree = git(root, "rev-parse", f"{registry.get('churn@v0.1.0').rev}^{{tree}}").strip()
    lost = root / ".git" / "objects" / tree[:2] / tree[2:]
    kept = lost.rename(tmp_path / "kept")
    first = Registry(root).export_site(tmp_path / "public")
    assert "Not all could be read" in pages(first)["models/churn/v0.1.0.html"]
    kept.rename(lost)
    second = Registry(root).export_site(tmp_path / "public")
    assert "Not all could be read" not in pages(second)["models/churn/v0.1.0.html"]


def test_a_version_that_was_made_from_one_whose_tags_come_later_leads_to_it_then(
    plain: Path, tmp_path: Path
) -> None:
    registry = Registry(plain)
    registry.register("churn")
    registry.register("risk", inputs=["churn@v0.1.0"])
    tag = git(plain, "rev-parse", "refs/tags/churn@v0.1.0")
    git(plain, "tag", "--delete", "churn@v0.1.0")
    page = "models/risk/v0.1.0.html"
    reader = Registry(plain)
    assert "no such version is registered" in pages(reader.export_site(tmp_path / "public"))[page]
    git(plain, "update-ref", "refs/tags/churn@v0.1.0", tag)
    for each in (reader, Registry(plain)):
        assert "no such version" not in pages(each.export_site(tmp_path / "public"))[page]


def test_a_page_that_was_edited_or_lost_is_made_again(registry: Registry, tmp_path: Path) -> None:
    site = registry.export_site(tmp_path / "public")
    before = contents(site)
    for name in ("models/churn/v0.1.0.html", "audit.html", "catalogue.json"):
        (site.path / name).write_text("edited")
        assert registry.export_site(tmp_path / "public").written == (name,)
        (site.path / name).unlink()
        assert registry.export_site(tmp_path / "public").written == (name,)
    assert contents(site) == before


def test_notes_that_are_lost_or_damaged_cost_time_and_nothing_else(
    registry: Registry, tmp_path: Path
) -> None:
    site = registry.export_site(tmp_path / "public")
    before = contents(site)
    place = site.path / writer_of_site.MANIFEST
    page = "models/churn/index.html"
    manifest = json.loads(place.read_text())
    note = manifest["notes"][page]
    odd: list[object] = [
        None, [], "x", {page: 5}, {page: {}}, {page: {"of": note["of"]}}, {page: {**note, "line": 5}},
        {page: {**note, "line": "0" * 32}}, {page: {**note, "after": ["risk"]}}, {page: {**note, "of": None}},
    ]  # fmt: skip
    for notes in odd:
        place.write_text(json.dumps({**manifest, "notes": notes}))
        assert registry.export_site(tmp_path / "public").written == ()
        assert contents(site) == before, notes


def test_an_export_that_is_stopped_anywhere_is_gone_on_with(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register("risk", rev="main~1")
    registry.export_site(tmp_path / "public")
    registry.register("churn", rev="main")
    registry.register("risk", rev="main")
    expected = contents(registry.export_site(tmp_path / "new"))
    replace = writer_of_site._replace
    for stop in range(9):
        shutil.copytree(tmp_path / "public", tmp_path / "stopped")
        left = iter(range(stop))

        def write(place: Path, data: bytes, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            replace(place, data)

        with monkeypatch.context() as patch:
            patch.setattr(writer_of_site, "_replace", write)
            with pytest.raises(KeyboardInterrupt):
                registry.export_site(tmp_path / "stopped")
        assert contents(registry.export_site(tmp_path / "stopped")) == expected
        shutil.rmtree(tmp_path / "stopped")


def test_without_the_extra_the_error_says_what_to_install(registry: Registry, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "import modelregistry as mr\n"
        "try: mr.Registry('.').export_site('public')\n"
        "except mr.MissingDependencyError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=registry.target, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )  # fmt: skip
    assert "pip install 'modelregistry[site]'" in done.stdout
    assert not (Path(registry.target) / "public").exists()
