"""A site is used in a browser, from the disk: with a mouse, with keys alone, in the dark, on a phone, on paper."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from modelregistry import Registry
from tests.browser.watched import Watched
from tests.integration.projects import commit, dvc, git, init, write

HOSTILE = "<script>document.title = 'taken over'</script><img src=https://example.com/x.png onerror=alert(1)>"
PLAN = """\
stages:
  train:
    cmd: {python} train.py
    deps: [train.py, data.csv]
    params: [depth]
    outs: [model.bin]
    metrics: [metrics.json: {{cache: false}}]
artifacts:
  churn: {{path: model.bin, type: model, labels: [team-a, tabular], desc: Who leaves next month}}
  risk: {{path: other.txt, type: rules, labels: [team-b], desc: "{hostile}"}}
"""
TRAIN = """\
import json
depth = int(open("params.yaml").read().split()[1])
open("model.bin", "w").write(str(depth))
json.dump({"auc": 0.7 + depth / 20, "loss": 0.5 - depth / 20}, open("metrics.json", "w"))
"""
CARD = {
    "summary": f"Predicts who **leaves**.\n\n{HOSTILE}", "limits": "Not for prices.\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "contact": "risk@example.com", "license": "apache-2.0", "usage": "[click](javascript:alert(1)) https://example.com",
}  # fmt: skip
PAGES = (
    "index.html",
    "audit.html",
    "models/churn/index.html",
    "models/churn/v0.3.0.html",
    "models/risk/index.html",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of two models: ``churn``, trained three times, and ``risk``, of which all that is said is hostile."""
    top = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HOME": top, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": top / "dvc"}.items():
            patch.setenv(name, os.fspath(value))
        root = init(top / "project")
        dvc(root, "init", "--quiet")
        write(root / "dvc.yaml", PLAN.format(python=sys.executable, hostile=HOSTILE))
        write(root / "train.py", TRAIN)
        write(root / "data.csv", "a,b\n1,2\n")
        write(root / "other.txt", "rules")
        registry = None
        for depth in (1, 2, 3):
            write(root / "params.yaml", f"depth: {depth}\n")
            dvc(root, "repro", "--quiet")
            commit(root, f"Train with depth {depth}")
            registry = registry or Registry(root)
            registry.register(
                "churn", bump="minor", message=f"Trained with depth {depth}", metadata={"owner": "risk"}
            )
        assert registry is not None
        better = {"metrics": {"auc": {"direction": "higher"}, "loss": {"direction": "lower"}}}
        registry.annotate("churn", None, {"card": CARD, "evaluation": better})
        registry.promote("churn", "v0.2.0", "current", message="Better on the held-out quarter")
        registry.promote("churn", "v0.3.0", "shadow")
        registry.withdraw("churn", "v0.1.0", message="Trained on the wrong month")
        git(root, "config", "user.name", "نموذج 🦊")
        registry.register("risk", message=HOSTILE, metadata={HOSTILE: HOSTILE, "long": "x" * 200})
        registry.deprecate("risk", message="Superseded")
        return registry.export_site(top / "public", title="Our models").path


@pytest.fixture
def watched(browser: Browser, site: Path) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    watched = Watched(context, site)
    yield watched
    context.close()
    assert watched.odd == []


def test_a_reader_finds_a_model_opens_it_and_follows_it_to_a_version(watched: Watched) -> None:
    page = watched.open("index.html")
    expect(page.get_by_role("status")).to_have_text("2 models")
    page.get_by_label("Search").fill("leaves MONTH")
    expect(page.get_by_role("status")).to_have_text("1 of 2 models")
    page.get_by_role("link", name="churn", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("churn")
    assert page.locator("figure img").count() == 2
    for picture in page.locator("img").all():
        assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    page.get_by_role("region", name="Versions").get_by_role("link", name="v0.3.0").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("churn v0.3.0 shadow")
    lineage = page.get_by_role("group", name="What churn@v0.3.0 was made from")
    expect(lineage.get_by_role("link", name="data.csv")).to_be_visible()
    page.get_by_text("As a list").click()
    expect(page.get_by_role("region", name="Lineage as a list")).to_contain_text("data.csv")
    page.get_by_role("heading", name="Against").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("churn v0.2.0 current")


def test_each_filter_of_the_models_leaves_those_that_fit(watched: Watched) -> None:
    page = watched.open("index.html")
    for label, choice, left in [
        ("Stage", "current", 1), ("Type", "rules", 1), ("Label", "team-b", 1), ("Stage", "Any", 2),
    ]:  # fmt: skip
        page.get_by_role("button", name="Clear").click()
        page.get_by_label(label, exact=True).select_option(label=choice)
        expect(page.locator("#models > tbody > tr:visible")).to_have_count(left)
    page.get_by_label("Search").fill("nothing is called so")
    expect(page.get_by_text("No model fits these filters.")).to_be_visible()


def test_the_audit_page_is_filtered_by_model_person_stage_kind_and_time(watched: Watched) -> None:
    page = watched.open("audit.html")
    rows = page.locator("#events > tbody > tr:visible")
    every = rows.count()
    day = page.locator("#events tbody tr").first.get_attribute("data-day") or ""
    for label, choice, left in [
        ("Model", "risk", 2), ("Person", "نموذج 🦊", 2), ("Stage", "shadow", 1), ("What", "withdraw", 1),
    ]:  # fmt: skip
        page.get_by_label(label, exact=True).select_option(choice)
        expect(rows).to_have_count(left)
        page.get_by_role("button", name="Clear").click()
        expect(rows).to_have_count(every)
    page.get_by_label("From").fill(day)
    expect(rows).not_to_have_count(0)
    page.get_by_label("From").fill("2999-01-01")
    expect(rows).to_have_count(0)


def test_versions_are_sorted_by_a_metric_and_the_header_says_so(watched: Watched) -> None:
    page = watched.open("models/churn/index.html")
    head = page.get_by_role("columnheader", name="auc")
    for order, versions in [
        ("ascending", ["v0.1.0", "v0.2.0", "v0.3.0"]),
        ("descending", ["v0.3.0", "v0.2.0", "v0.1.0"]),
    ]:
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", order)
        assert watched.rows("versions-table") == versions


def test_everything_can_be_reached_with_keys_alone(watched: Watched) -> None:
    page = watched.open("index.html")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("churn")
    link = page.get_by_role("link", name="churn", exact=True)
    for _ in range(20):
        page.keyboard.press("Tab")
        shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert shown != "none", "the focus can't be seen"
        if link.evaluate("link => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("churn")


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: Browser, site: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    watched = Watched(context, site)
    for name in PAGES:
        page = watched.open(name)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    context.close()
    assert watched.odd == []


def test_a_dark_page_is_dark(browser: Browser, site: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    page = Watched(context, site).open("index.html")
    red, green, blue = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert red + green + blue < 150
    context.close()


def test_without_javascript_everything_can_be_read(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    watched = Watched(context, site)
    page = watched.open("index.html")
    expect(page.get_by_role("search")).to_be_hidden()
    expect(page.locator("#models > tbody > tr:visible")).to_have_count(2)
    page.get_by_role("link", name="churn", exact=True).click()
    expect(page.locator("pre")).to_contain_text('mr.load_model("churn#current")')
    context.close()
    assert watched.odd == []


def test_what_strangers_wrote_does_nothing(watched: Watched) -> None:
    for name in (
        "index.html",
        "models/risk/index.html",
        "models/risk/v0.1.0.html",
        "models/churn/v0.3.0.html",
    ):
        page = watched.open(name)
        assert "taken over" not in page.title()
        assert page.locator("main img:not([src^='data:'])").count() == 0
        expect(page.locator("main")).to_contain_text("<script>document.title")


def test_a_script_that_got_into_a_page_would_not_run(browser: Browser, site: Path, tmp_path: Path) -> None:
    page_with_script = tmp_path / "page.html"
    text = (site / "index.html").read_text()
    page_with_script.write_text(
        text.replace("<h1>", "<script>document.title = 'taken over'</script><h1 onclick='x()'>")
    )
    page = browser.new_page()
    page.goto(page_with_script.as_uri())
    assert page.title() == "Our models"
    page.close()


def test_on_paper_the_controls_are_gone_and_the_page_is_white(watched: Watched) -> None:
    page = watched.open("index.html")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    shown = page.locator(".state").first.evaluate("state => getComputedStyle(state).backgroundColor")
    assert shown == "rgb(255, 255, 255)"
    expect(page.get_by_label("Search")).to_be_hidden()
    expect(page.locator("#models")).to_be_visible()
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [660, 720, 900])
def test_at_no_width_a_stage_runs_into_the_next_column(watched: Watched, width: int) -> None:
    page = watched.open("index.html")
    page.set_viewport_size({"width": width, "height": 600})
    wide = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).map(cell => cell.textContent)"
    assert page.locator("#models > tbody > tr > *").evaluate_all(wide) == []
