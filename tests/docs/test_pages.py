"""Every block of code in the pages runs, or is held to what reads it, or says why not."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from unittest import SkipTest

import pytest
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from modelregistry.config import UserSettings, parse_settings
from modelregistry.lineage.lineage import Lineage
from modelregistry.project.declarationtexts import read_artifacts
from modelregistry.trust.signertexts import parse_policy
from tests.docs.terminal import type_in

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
ELSEWHERE = {"docs/tutorial/first-model.md": "test_tutorial.py"}
"""Pages with a test of their own, which starts from other things than the project."""
TOO_LONG = {"docs/reference/benchmarks.md": "it is written by the benchmark that it tells how to run"}
"""Pages of which no block is run."""
RUN = [name for name, text in PAGES.items() if re.search(r"^```(python|console)$", text, re.MULTILINE)]
FENCE = re.compile(r"^(```+)(.*?)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
INSTALL = re.compile(r"modelregistry\[([\w,-]+)\]")

# Told apart by the page and the block's first line.
Key = tuple[str, str]


def settings(text: str) -> object:
    return parse_settings(text.encode())


def user_settings(text: str) -> object:
    return UserSettings.model_validate(tomllib.loads(text))


def policy(text: str) -> object:
    """A key is too long for a page."""
    return parse_policy(re.sub('"ssh-ed25519 AAAA[^"]*"', f'"SHA256:{"k" * 43}"', text), "policy.toml")


def declared(text: str) -> None:
    found = read_artifacts(text.encode(), "dvc.yaml")
    assert found and not any(entry.problem for entry in found.values())


def entry_point(text: str) -> None:
    """A group that is looked through, a module that is a file among the examples, and a class in it."""
    ((group, entries),) = tomllib.loads(text)["project"]["entry-points"].items()
    assert f'group="{group}"' in (ROOT / "modelregistry" / "plugins.py").read_text(encoding="utf-8")
    for value in entries.values():
        module, _, name = value.partition(":")
        example = ROOT / "docs" / "examples" / f"{module.rpartition('.')[2]}.py"
        assert f"class {name}" in example.read_text(encoding="utf-8")


def a_lineage(text: str) -> None:
    Lineage.from_dict(json.loads(text))


READ: dict[Key, Callable[[str], object]] = {
    ("README.md", "artifacts:"): declared,
    ("docs/how-to/describe-a-model.md", "artifacts:"): declared,
    ("docs/how-to/write-an-exporter.md", '[project.entry-points."modelregistry.exporters"]'): entry_point,
    ("docs/how-to/keep-the-log-in-a-database.md", "# .modelregistry.toml"): settings,
    ("docs/how-to/load-any-format.md", "artifacts:"): declared,
    ("docs/how-to/promote.md", "[stages]"): settings,
    ("docs/how-to/sign-events.md", 'registry = "c9f0c1…"                  # event.registry of any event; left out: as it was met first'): policy,
    ("docs/how-to/trust-a-model.md", "[[signer]]"): policy,
    ("docs/how-to/write-a-loader.md", '[project.entry-points."modelregistry.loaders"]'): entry_point,
    ("docs/reference/lineage-format.md", "{"): a_lineage,
    ("docs/reference/settings.md", 'backend = "git"'): settings,
    ("docs/reference/settings.md", "[backends]"): user_settings,
    ("docs/tutorial/tour.md", "artifacts:"): declared,
}  # fmt: skip
"""What reads a block that is no code."""
OTHERWISE: dict[Key, str] = {
    ("docs/CONTRIBUTING.md", '<!-- skip: next "needs a bucket" -->'): "it shows how a page says this",
    ("docs/how-to/deploy-from-ci.md", "# .github/workflows/deploy.yml"): "test_deploy_from_ci.py runs its steps",
    ("docs/how-to/deploy-from-ci.md", "# .gitlab-ci.yml"): "test_deploy_from_ci.py runs its script",
    ("docs/how-to/deploy-to-bentoml-kserve-triton.md", "apiVersion: serving.kserve.io/v1beta1"): "the page itself holds it to what it says",
    ("docs/how-to/publish-a-catalogue.md", "# .github/workflows/catalogue.yml"): "test_publish_a_catalogue.py runs its steps",
    ("docs/how-to/publish-a-catalogue.md", "# .github/workflows/all-models.yml"): "test_publish_a_catalogue.py runs its script",
    ("docs/how-to/publish-a-catalogue.md", "# .gitlab-ci.yml"): "test_publish_a_catalogue.py runs its script",
}  # fmt: skip
"""Why another one is not held to anything here."""


def blocks(page: str) -> list[tuple[str, str]]:
    return [(info, text) for _, info, text in FENCE.findall(PAGES[page])]


def nested(page: str) -> int:
    """Fences that stand in a block, which shows them."""
    return sum(len(re.findall("^```", text, re.MULTILINE)) for _, text in blocks(page))


def others(page: str) -> dict[Key, str]:
    """Its blocks that are neither run nor drawings, output and directives."""
    found: dict[Key, str] = {}
    for info, text in blocks(page):
        if info not in ("python", "console", "text") and not info.startswith("{"):
            key = page, text.partition("\n")[0]
            assert key not in found, f"{key} is there twice: one of them would not be looked at"
            found[key] = text
    return found


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_passed_over_in_silence(page: str) -> None:
    fences = re.findall(r"^\s*(?:```|~~~).*$", PAGES[page], re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page)) + nested(page), "fences begin their lines, and are of ```"
    for info, text in blocks(page):
        # The build of the pages runs the cells of a notebook, and fails with them.
        known = r"python|console|text|toml|yaml|json|markdown|\{code-cell\} ipython3|\{(?!code)[a-z-]+\}.*"
        assert re.fullmatch(known, info), text
    silent = re.search(r"skip: (start|next\s*-->)", PAGES[page])
    assert silent is None, "a skip is for one block, and has its reason"
    if page not in ELSEWHERE:
        for key in others(page):
            assert (key in READ) != (key in OTHERWISE), f"{key} is to be read, or there is a reason why not"


def test_the_lists_have_nothing_that_is_gone() -> None:
    there = {key for page in PAGES for key in others(page)}
    assert {*READ, *OTHERWISE} <= there
    assert {*ELSEWHERE, *TOO_LONG} <= {*RUN}
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (Path(__file__).parent / test).read_text(encoding="utf-8")
    for reason in OTHERWISE.values():
        for test in re.findall(r"\w+\.py", reason):
            assert (Path(__file__).parent / test).exists()


@pytest.mark.parametrize("key", READ, ids=": ".join)
def test_what_is_no_code_is_understood(key: Key) -> None:
    READ[key](others(key[0])[key])


@pytest.mark.parametrize("page", PAGES)
def test_what_is_to_be_installed_can_be_had(page: str) -> None:
    extras = {extra for found in INSTALL.findall(PAGES[page]) for extra in found.split(",")}
    assert extras <= set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize("folder", ["tutorial", "how-to", "reference", "explanation"])
def test_every_page_has_its_place_in_the_list_of_its_folder(folder: str) -> None:
    listed = re.findall(r"^[a-z-]+$", PAGES[f"docs/{folder}/index.md"], re.MULTILINE)
    there = {path.stem for path in (ROOT / "docs" / folder).glob("*.md")} - {"index"}
    assert len(listed) == len(set(listed)) and {*listed} == there, (
        "its order is for newcomers: put the page where it fits"
    )


def test_every_session_is_told_to_who_contributes() -> None:
    sessions = re.findall(
        r"^@nox\.session.*\ndef (\w+)\(", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    told = re.findall(r"^\| `([a-z]+)` \|", PAGES["docs/CONTRIBUTING.md"], re.MULTILINE)
    assert {*sessions, "tests"} <= {*told}


def in_a_terminal(example: Example) -> None:
    type_in(Path.cwd(), example.parsed)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("page", [page for page in RUN if page not in {**ELSEWHERE, **TOO_LONG}])
def test_the_blocks_of_a_page_run(page: str) -> None:
    parsers = (PythonCodeBlockParser(), CodeBlockParser("console", in_a_terminal), SkipParser())
    for block in Document.parse(str(ROOT / page), *parsers):
        try:
            block.evaluate()
        except SkipTest as reason:
            print(f"{page}:{block.line} is skipped: {reason}")
