"""A notebook is executed by a kernel, made a page by nbconvert, and looked at in a browser: in light, in dark, and narrow."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Page, sync_playwright

from modelregistry import Registry
from tests.integration.projects import commit, dvc, git, init, write

CHROMIUM = "/usr/bin/chromium"  # Debian's package
SCREENSHOTS = os.environ.get("MODELREGISTRY_SCREENSHOTS")
"""A folder to put pictures of the pages into, for people to look at."""
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
  churn: {{path: model.bin, type: model, desc: Who leaves next month}}
  risk: {{path: other.txt, type: model, desc: "{hostile}"}}
"""
TRAIN = """\
import json
depth = int(open("params.yaml").read().split()[1])
open("model.bin", "w").write(str(depth))
json.dump({"auc": 0.7 + depth / 20, "loss": 0.5 - depth / 20}, open("metrics.json", "w"))
"""
CELLS = {
    "registry": "import modelregistry as mr\nfrom modelregistry.display.tables import Rows\nregistry = mr.Registry('.')\nregistry",
    "models": "registry.models()",
    "version": "version = registry.get('churn#current')\nversion",
    "versions": "registry.versions('churn')",
    "history": "registry.history('churn')",
    "comparison": "registry.compare('churn#current', 'churn#shadow')",
    "trend": "registry.trend('churn', 'auc')",
    "lineage": "version.lineage",
    "diff": "version.lineage.diff(registry.get('churn#shadow').lineage)",
    "card": "version.card",
    "found": "registry.search('metrics.auc > 0', sort='-metrics.auc', limit=1)",
    "nothing": "registry.search('metrics.auc > 5')",
    "impact": "registry.impact('data.csv')",
    "check": "registry.check()",
    "withdrawn": "registry.versions('churn', stage='withdrawn')[0]",
    "hostile": "registry.get('risk')",
    "event": "registry.history('risk')[0]",
    "many": "Rows(range(10_000), {'number': lambda number: number, 'as text': str})",
    "in a list": "[version, version]",
    "frames": "registry.models().to_polars().shape == registry.models().to_pandas().shape",
}  # fmt: skip


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with ``churn``, trained three times, and ``risk``, of which all that is said is hostile."""
    top = tmp_path_factory.mktemp("notebooks")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HOME": top, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": top / "dvc"}.items():
            patch.setenv(name, os.fspath(value))
        root = init(top / "project")
        dvc(root, "init", "--quiet")
        write(root / "dvc.yaml", PLAN.format(python=sys.executable, hostile=HOSTILE))
        write(root / "train.py", TRAIN)
        write(root / "data.csv", "a,b\n1,2\n")
        write(root / "other.txt", "rules")
        for depth in (1, 2, 3):
            write(root / "params.yaml", f"depth: {depth}\n")
            dvc(root, "repro", "--quiet")
            commit(root, f"Train with depth {depth}")
            registry = Registry(root)
            registry.register(
                "churn", bump="minor", message=f"Trained with depth {depth}", metadata={"owner": "risk"}
            )
        better = {"metrics": {"auc": {"direction": "higher"}, "loss": {"direction": "lower"}}}
        card = {"summary": f"Predicts who **leaves**. {HOSTILE}", "limits": "Not for prices."}
        registry.annotate("churn", None, {"evaluation": better, "card": card})
        registry.promote("churn", "v0.2.0", "current", message="Better on the held-out quarter")
        registry.promote("churn", "v0.3.0", "shadow")
        registry.withdraw("churn", "v0.1.0", message="Trained on the wrong month")
        git(root, "config", "user.name", "نموذج 🦊")
        registry.register("risk", message=HOSTILE, metadata={HOSTILE: HOSTILE, "long": "x" * 2_000})
        yield root


@pytest.fixture(scope="session")
def executed(project: Path) -> nbformat.NotebookNode:
    """The notebook, as a kernel of its own left it."""
    cells = []
    for name, code in CELLS.items():
        cells += [
            nbformat.v4.new_markdown_cell(f"## {name}"),
            nbformat.v4.new_code_cell(code, id=name.replace(" ", "-")),
        ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": os.fspath(project)}}
    )
    client.execute()
    nbformat.validate(notebook)
    return notebook


def output(notebook: nbformat.NotebookNode, name: str) -> dict[str, Any]:
    """What the cell of that name showed."""
    (cell,) = [each for each in notebook.cells if each.get("id") == name.replace(" ", "-")]
    (found,) = cell.outputs
    return dict(found.data)


@pytest.fixture(scope="session", params=["light", "dark"])
def page_file(request: pytest.FixtureRequest, executed: nbformat.NotebookNode, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:  # fmt: skip
    """The notebook as a page of nbconvert's, in one of its themes."""
    theme = request.param
    nothing_from_elsewhere = dict.fromkeys(
        ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url"), ""
    )
    exporter = HTMLExporter(template_name="lab", theme=theme, **nothing_from_elsewhere)
    text, _ = exporter.from_notebook_node(executed)
    # Left empty, they are asked for all the same.
    text = re.sub(r'<script src=""></script>', "", text)
    return theme, write(tmp_path_factory.mktemp("pages") / f"{theme}.html", text)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1200, 420])
def page(request: pytest.FixtureRequest, browser: Browser, page_file: tuple[str, Path]) -> Iterator[Page]:
    """The page, wide and narrow; it may read the disk and nothing else. The system is of the other scheme."""
    theme, file = page_file
    scheme = "light" if theme == "dark" else "dark"
    context = browser.new_context(viewport={"width": request.param, "height": 900}, color_scheme=scheme)
    odd: list[str] = []
    context.route("**/*", lambda route: route.continue_() if route.request.url.startswith(("file:", "data:")) else (odd.append(route.request.url), route.abort()))  # fmt: skip
    page = context.new_page()
    page.on("dialog", lambda dialog: (odd.append("a dialog"), dialog.dismiss()))
    page.goto(file.as_uri())
    yield page
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS, f"{theme}-{request.param}.png"), full_page=True)
    assert page.title() != "taken over"
    context.close()
    assert odd == []


def test_every_cell_shows_a_page_and_words(executed: nbformat.NotebookNode) -> None:
    for name in CELLS:
        found = output(executed, name)
        assert found["text/plain"].strip()
        if name not in ("trend", "card", "in a list", "frames"):
            assert found["text/html"].startswith('<div class="modelregistry">'), name
            assert "<script" not in found["text/html"]
    assert set(output(executed, "lineage")) == {
        "text/html",
        "image/svg+xml",
        "text/vnd.mermaid",
        "text/plain",
    }
    assert set(output(executed, "card")) == {"text/markdown", "text/plain"}
    assert output(executed, "frames")["text/plain"] == "True"


def test_a_plot_is_vega_lite_with_an_svg_for_who_can_not_draw_it(executed: nbformat.NotebookNode) -> None:
    found = output(executed, "trend")
    assert set(found) == {"application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"}, (
        "HTML would be preferred to it"
    )
    assert [row["label"] for row in found["application/vnd.vegalite.v5+json"]["data"]["values"]] == [
        "v0.2.0",
        "v0.3.0",
    ]


def test_what_the_cells_say(executed: nbformat.NotebookNode) -> None:
    said = {name: re.sub(r"<[^>]+>", " ", str(output(executed, name).get("text/html", ""))) for name in CELLS}
    for part in ("churn", "v0.3.0", "current: v0.2.0", "shadow: v0.3.0", "risk"):
        assert part in said["registry"], part
    for part in (
        "churn v0.2.0",
        "current",
        "Trained with depth 2",
        "auc: 0.8, loss: 0.4",
        "owner: risk",
        "load_model",
    ):
        assert part in said["version"], part
    assert "; better: auc, loss" in said["comparison"]
    assert said["comparison"].count("better") == 3, "beside each of them, too"
    assert "1 more were found" in said["found"]
    assert "(nothing)" in said["nothing"]
    assert "never served again" in said["withdrawn"]
    assert "9,940 more" in said["many"]
    assert output(executed, "in a list")["text/plain"].count("ModelVersion('churn', 'v0.2.0'") == 2


def test_what_we_show_is_accessible(page: Page) -> None:
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    found = Axe().run(page, context=".modelregistry")
    assert found.violations_count == 0, found.generate_report()


def test_what_we_show_has_the_scheme_of_its_page_and_stays_inside_it(
    page: Page, page_file: tuple[str, Path]
) -> None:
    ours = page.locator(".modelregistry").first
    text, ground = ours.evaluate(
        "each => [getComputedStyle(each).color, getComputedStyle(each).backgroundColor]"
    )
    is_light = _brightness(ground) > _brightness(text)
    assert is_light == (page_file[0] == "light")
    for box in page.locator(".modelregistry").all():
        wide, inner = box.evaluate("each => [each.scrollWidth, each.clientWidth]")
        assert wide <= inner, "what is wide is moved by itself"
    for picture in page.locator(".modelregistry svg").all():
        lightest = picture.evaluate("each => getComputedStyle(each).backgroundColor")
        assert (_brightness(lightest) > 128) == is_light


def _brightness(colour: str) -> float:
    red, green, blue = map(float, re.findall(r"[\d.]+", colour)[:3])
    return (red + green + blue) / 3
