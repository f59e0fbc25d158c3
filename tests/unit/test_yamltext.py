"""Scalars of YAML, as DVC's parser reads them."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from modelregistry.project.yamltext import parse, typed

NUMBERS = "1 -1 +1 012 0o17 0x1F -0x1f 0b11 1_000 1_0.5 .5 5. 1e3 1e-3 1e5_ 0x _1 12:30 yes on 1.5.2 ~ null true TRUE tRue 1e99 .1e7 -.1e-7 -_5"


@pytest.mark.parametrize("text", NUMBERS.split())
def test_a_scalar_means_what_it_means_to_dvc(text: str) -> None:
    mine = typed(parse(f"a: {text}\n".encode(), "x"))["a"]
    theirs = YAML(typ="safe").load(text)
    assert (mine, type(mine)) == (theirs, type(theirs))


@pytest.mark.parametrize("text", [".inf", "-.inf", ".nan", "1e400", "0x_", "._", "2020-01-01"])
def test_what_json_cannot_hold_stays_text(text: str) -> None:
    assert typed(parse(f"a: {text}\n".encode(), "x")) == {"a": text}
