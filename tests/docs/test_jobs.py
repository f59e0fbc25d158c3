"""Every job of GitHub and GitLab in the pages fits the published schema of its kind."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FIRST = {r"# \.github/workflows/\S+": "vendor.github-workflows", r"# \.gitlab-ci\.yml": "vendor.gitlab-ci"}
JOBS = [
    pytest.param(found[1], schema, id=f"{page.stem}, line {text[: found.start()].count(chr(10)) + 1}")
    for page in sorted(DOCS.rglob("*.md"))
    for text in [page.read_text(encoding="utf-8")]
    for first, schema in FIRST.items()
    for found in re.finditer(rf"^```yaml\n{first}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
]


def judged(tmp_path: Path, text: str, schema: str) -> "subprocess.CompletedProcess[str]":
    file = tmp_path / "job.yml"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("text", "schema"), JOBS)
def test_a_job_fits_the_schema(text: str, schema: str, tmp_path: Path) -> None:
    found = judged(tmp_path, text, schema)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_jobs_of_both_are_found() -> None:
    assert {job.values[1] for job in JOBS} == set(FIRST.values())


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("on: push\njobs: {catalogue: {steps: []}}\n", "vendor.github-workflows"),
        ("catalogue: {script: [a], pages: 3}\n", "vendor.gitlab-ci"),
    ],
)
def test_a_job_that_does_not_fit_is_told(text: str, schema: str, tmp_path: Path) -> None:
    assert judged(tmp_path, text, schema).returncode == 1
