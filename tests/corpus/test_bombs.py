"""Small files that ask for much: each is an error, in time, of a process that may have a gigabyte."""

from pathlib import Path

import pytest

from tests.corpus.bombs import SECONDS, bombs, outcomes


@pytest.mark.slow
def test_a_bomb_is_an_error_within_a_gigabyte(tmp_path: Path) -> None:
    found = outcomes(tmp_path)
    assert len(found) == len(bombs())
    assert [each for each in found if each.how not in {"UnknownFormatError", "UntrustedNamesError"}] == []
    assert max(each.seconds for each in found) < SECONDS
