"""Files whose parts don't fit together: read the usual way they end the process, here they are an error."""

from pathlib import Path

import pytest

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders.base import Permit
from modelregistry.loaders.pickles import PickleLoader
from tests.corpus.damage import damaged, died


def test_what_is_said_to_end_the_process_does_so() -> None:
    assert {title for title, file in damaged().items() if file.dies} <= died().keys()


@pytest.mark.parametrize("title", damaged())
def test_what_does_not_fit_together_is_refused_and_says_what(title: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(damaged()[title].content)
    with pytest.raises(UnknownFormatError, match=r"'model.pkl' has parts that don't fit together.*: \w+"):
        PickleLoader().load(path, Permit())
