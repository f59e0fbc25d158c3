"""The lineage of a version is explored in a browser: opened, walked by keys, read without JavaScript; in a notebook, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from modelregistry import Registry
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import Node
from tests.browser.watched import Watched
from tests.integration.projects import commit, dvc, init, write

HOSTILE = "<img src=x onerror=alert(1)>.py"
FILES = [*(f"part_{number:02}.py" for number in range(12)), HOSTILE]
PLAN = """\
stages:
  train:
    cmd: {python} train.py
    deps: [{deps}]
    params: [depth]
    outs: [model.bin]
    metrics: [metrics.json: {{cache: false}}]
artifacts:
  churn: {{path: model.bin, type: model}}
  scorecard: {{path: card.txt, type: model}}
"""
TRAIN = """\
import json
depth = int(open("params.yaml").read().split()[1])
open("model.bin", "w").write(str(depth))
json.dump({"auc": 0.7 + depth / 20}, open("metrics.json", "w"))
"""
CHURN, SCORECARD = "models/churn/v0.2.0.html", "models/scorecard/v0.1.0.html"


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """``churn``, trained twice from many files, and ``scorecard``, of which a person says that ``churn`` is in it."""
    top = tmp_path_factory.mktemp("lineage")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HOME": top, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": top / "dvc"}.items():
            patch.setenv(name, os.fspath(value))
        root = init(top / "project")
        dvc(root, "init", "--quiet")
        deps = ", ".join(["train.py", "data.csv", *(f'"src/{name}"' for name in FILES)])
        write(root / "dvc.yaml", PLAN.format(python=sys.executable, deps=deps))
        write(root / "train.py", TRAIN)
        write(root / "data.csv", "a,b\n1,2\n")
        write(root / "card.txt", "age 0.3")
        for name in FILES:
            write(root / "src" / name, f"# {name}\n")
        for depth in (1, 2):
            write(root / "params.yaml", f"depth: {depth}\n")
            dvc(root, "repro", "--quiet")
            commit(root, f"Train with depth {depth}")
            Registry(root).register("churn", bump="minor")
        registry = Registry(root)
        registry.promote("churn", "v0.1.0", "current")
        registry.register("scorecard", inputs=["churn@v0.1.0", "data.csv"], params={"bins": 12})
        return registry


@pytest.fixture(scope="session")
def site(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registry.export_site(tmp_path_factory.mktemp("public") / "site").path


@pytest.fixture
def watched(browser: Browser, site: Path) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    watched = Watched(context, site)
    yield watched
    context.close()
    assert watched.odd == []


@pytest.fixture
def bare(browser: Browser, site: Path) -> Iterator[Watched]:
    """Without JavaScript."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, java_script_enabled=False)
    watched = Watched(context, site)
    yield watched
    context.close()
    assert watched.odd == []


def box(page: Page, name: str) -> Locator:
    return page.locator("svg.lineage:visible a.n", has_text=name).first


def chosen(page: Page) -> Locator:
    return page.get_by_role("region", name="The box that was chosen")


def test_choosing_a_box_shows_its_facts_and_what_it_was_made_from_and_into(watched: Watched) -> None:
    page = watched.open(CHURN)
    expect(chosen(page)).to_be_hidden()
    box(page, "train.py").filter(has_text="python").click()
    panel = chosen(page)
    expect(panel.get_by_role("heading")).to_have_text("train")
    for said in ("command", "train.py", "made from", "data.csv", "made into", "model.bin", "metrics.json"):
        expect(panel).to_contain_text(said)
    assert page.url.endswith(CHURN), "it stays where it is"
    faint = page.locator("#lineage-shut .n:not(.it):not(.near)").all_text_contents()
    assert len(faint) == 1 and faint[0].strip().startswith("commit")
    panel.get_by_role("link", name="data.csv").click()
    expect(panel.get_by_role("heading")).to_have_text("data.csv")
    expect(panel).to_contain_text("digest")
    expect(panel).to_contain_text("8 bytes")
    expect(page.locator("#lineage-shut .it")).to_contain_text("data.csv")


def test_a_folded_box_opens_and_each_file_in_it_can_be_chosen(watched: Watched) -> None:
    page = watched.open(CHURN)
    box(page, "14 code nodes").click()
    expect(page.locator("#lineage-shut")).to_be_hidden()
    opened = page.locator("#lineage-open")
    for name in FILES:
        expect(opened.locator("a", has_text=name[:12]).first).to_be_visible()
    opened.locator("a", has_text="part_07.py").click()
    expect(chosen(page).get_by_role("heading")).to_have_text("src/part_07.py")
    expect(opened.locator(".it")).to_contain_text("14 code nodes")
    page.get_by_role("link", name="Fold them again").click()
    expect(opened).to_be_hidden()
    expect(page.locator("#lineage-shut")).to_be_visible()


def test_a_box_that_is_a_version_leads_to_its_page(watched: Watched) -> None:
    page = watched.open(SCORECARD)
    box(page, "churn@v0.1.0").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("churn v0.1.0")


def test_with_keys_alone_a_box_is_reached_chosen_opened_and_left(watched: Watched) -> None:
    page = watched.open(CHURN)
    page.locator("#lineage-shut").focus()
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if "code nodes" in seen[-1]:
            break
    assert "model.bin" in seen[0], "the model is the first"
    expect(chosen(page).get_by_role("heading")).to_have_text("14 code nodes")
    page.keyboard.press("Enter")
    expect(page.locator("#lineage-open")).to_be_visible()
    page.locator("#lineage-open a", has_text="data.csv").focus()
    page.keyboard.press("Enter")
    expect(chosen(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(chosen(page)).to_be_hidden()
    expect(page.locator("#lineage-open a.n", has_text="data.csv")).to_be_focused()
    assert page.locator(".choosing").count() == 0


def test_a_picture_is_made_larger_and_smaller_and_fits(watched: Watched) -> None:
    page = watched.open(CHURN)
    picture = page.locator("#lineage-shut svg")
    natural = picture.bounding_box()["width"]  # type: ignore[index]
    page.get_by_role("button", name="Larger").click()
    assert picture.bounding_box()["width"] == pytest.approx(natural * 1.25, abs=2)  # type: ignore[index]
    page.set_viewport_size({"width": 500, "height": 900})
    page.get_by_role("button", name="Fit").click()
    assert picture.bounding_box()["width"] < 500  # type: ignore[index]


def test_without_javascript_boxes_lead_to_the_list_and_fold_and_open(bare: Watched) -> None:
    page = bare.open(CHURN)
    expect(page.get_by_role("button", name="Larger")).to_be_hidden()
    box(page, "14 code nodes").click()
    expect(page.locator("#lineage-open")).to_be_visible()
    page.locator("#lineage-open a", has_text="part_07.py").click()
    row = page.locator("tr:target")
    expect(row).to_be_visible()
    expect(row).to_contain_text("src/part_07.py")
    expect(row).to_contain_text("git:")
    page = bare.open(SCORECARD)
    box(page, "churn@v0.1.0").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("churn v0.1.0")


def test_the_list_says_what_the_picture_says(bare: Watched) -> None:
    page = bare.open(CHURN)
    page.get_by_text("As a list").click()
    step = page.locator("#lineage-list tr", has=page.get_by_role("rowheader", name="train", exact=True))
    expect(step).to_contain_text("command")
    for name in ("src/part_00.py", "data.csv", "params.yaml"):
        expect(step.get_by_role("link", name=name)).to_be_visible()
    step.get_by_role("link", name="params.yaml").click()
    expect(page.locator("tr:target")).to_contain_text("depth 2")


def test_a_difference_says_in_words_what_changed(bare: Watched) -> None:
    page = bare.open(CHURN)
    page.get_by_text("As a picture").click()
    picture = page.get_by_role("img", name="What is other than in churn@v0.1.0")
    expect(picture).to_be_visible()
    assert picture.get_by_text("~ changed").count() >= 2
    expect(picture).to_contain_text("depth = 1 → 2")


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_whatever_is_open(browser: Browser, site: Path, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    watched = Watched(context, site)
    for name in (CHURN, SCORECARD):
        page = watched.open(name)
        for prepare in ("", "document.querySelectorAll('details').forEach(each => each.open = true)"):
            page.evaluate(prepare)
            found = Axe().run(page)
            assert found.violations_count == 0, f"{name}: {found.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    page = watched.open(CHURN)
    box(page, "14 code nodes").click()
    page.locator("#lineage-open a", has_text="data.csv").click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    assert watched.odd == []


def test_on_paper_the_picture_is_whole_and_by_light(watched: Watched) -> None:
    page = watched.open(CHURN)
    box(page, "data.csv").click()
    page.emulate_media(media="print", color_scheme="dark")
    expect(chosen(page)).to_be_hidden()
    expect(page.get_by_role("button", name="Larger")).to_be_hidden()
    fill = page.locator("#lineage-shut .dataset rect").first.evaluate("each => getComputedStyle(each).fill")
    assert fill == "rgb(219, 234, 254)"
    figure = page.locator("#lineage-shut")
    assert figure.evaluate("each => each.scrollWidth <= each.clientWidth + 1")
    page.set_viewport_size({"width": 700, "height": 1000})  # A4
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


@pytest.mark.parametrize("name", ["W" * 34, "🦊" * 50, "模" * 50, "ن" * 40, "e\u0301" * 20])
def test_no_text_leaves_its_box(bare: Watched, tmp_path: Path, name: str) -> None:
    model = Node("model", "model", name, digest="md5:" + "b" * 32)
    write(tmp_path / "picture.html", f'<!doctype html><meta charset="utf-8">{Lineage([model], []).to_svg()}')
    bare.site = tmp_path
    page = bare.open("picture.html")
    ends = page.locator("svg.lineage :is(rect, text)").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().right)"
    )
    assert max(ends[1:]) <= ends[0], "the box is the first"


# -- in a notebook --------------------------------------------------------------------------------------------


@pytest.fixture(params=["light", "dark"])
def cell(
    request: pytest.FixtureRequest, browser: Browser, registry: Registry, tmp_path: Path
) -> Iterator[Page]:
    """The output of a cell, in a notebook of a light or dark theme, on a system that is otherwise."""
    shown = registry.get("churn", version="v0.2.0").lineage._repr_html_()
    is_light = str(request.param == "light").lower()
    write(
        tmp_path / "cell.html",
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>A cell</title>'
        f'<body data-jp-theme-light="{is_light}" style="{"" if is_light == "true" else "background:#111;color:#eee"}">'
        f"<main><h1>A cell</h1>{shown}</main>",
    )
    other = "dark" if request.param == "light" else "light"
    context = browser.new_context(color_scheme=other, viewport={"width": 1200, "height": 900})  # type: ignore[arg-type]
    watched = Watched(context, tmp_path)
    yield watched.open("cell.html")
    context.close()
    assert watched.odd == []


def test_in_a_notebook_a_folded_box_opens_without_javascript(cell: Page) -> None:
    assert cell.locator("script").count() == 0
    inside = cell.get_by_text("src/part_07.py", exact=True)
    expect(inside).to_be_hidden()
    cell.locator("svg:visible").get_by_text("14 code nodes").click()
    expect(inside).to_be_visible()
    assert cell.locator("svg:visible").count() == 1
    cell.get_by_text("Fold the boxes again").click()
    expect(inside).to_be_hidden()


def test_in_a_notebook_the_keyboard_opens_it_and_axe_finds_nothing(cell: Page) -> None:
    cell.keyboard.press("Tab")
    cell.keyboard.press("Enter")
    expect(cell.locator("svg:visible").get_by_text("src/part_07.py", exact=True)).to_be_visible()
    found = Axe().run(cell)
    assert found.violations_count == 0, found.generate_report()


def test_a_picture_in_a_notebook_has_the_colours_of_the_notebook(cell: Page) -> None:
    fill = cell.locator("svg:visible .dataset rect").first.evaluate("each => getComputedStyle(each).fill")
    is_light = cell.evaluate("document.body.dataset.jpThemeLight") == "true"
    assert fill == ("rgb(219, 234, 254)" if is_light else "rgb(30, 58, 138)")
