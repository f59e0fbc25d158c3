"""Every Python block in the pages runs, or says why not."""

import re
from pathlib import Path
from unittest import SkipTest

import pytest
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_PYTHON = [page for page in PAGES if "```python\n" in page.read_text(encoding="utf-8")]

# Other spellings of a Python block would be passed over in silence, and so would a skip without a reason.
SILENT = re.compile(
    r"^\s*```(py|python3|pycon|\{code(-block)?\} *python)\b|skip: (next|start)\s*-->", re.MULTILINE
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_block_is_passed_over_in_silence(page: Path) -> None:
    found = SILENT.search(page.read_text(encoding="utf-8"))
    assert found is None, f"{page.name}: {found[0]!r}: write ```python, or a skip with its reason"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page: Path) -> None:
    for block in Document.parse(str(page), PythonCodeBlockParser(), SkipParser()):
        try:
            block.evaluate()
        except SkipTest as reason:
            print(f"{page.name}:{block.line} is skipped: {reason}")
