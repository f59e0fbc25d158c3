"""What the pages of a site were made from, so that those that would come out the same are not made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from modelregistry.errors import InvalidReferenceError
from modelregistry.names import Reference
from modelregistry.site.pages import ModelFacts, VersionFacts

Note = Mapping[str, Any]
"""``of``: a digest of all that goes into the pages; ``after``: the heads of other models that their lineages look at;
``line``: the digest of what the catalogue says."""


class Notes:
    """Those of the last export, and those of this one.

    Args:
        known: The notes of the last export, by the page that stands for all.
        lines: The lines of its catalogue, a model in each.
    """

    def __init__(self, known: Mapping[str, Any], lines: Iterable[str]) -> None:
        self._known = known
        self._lines = {digest_of(line): line for line in lines}
        self.new: dict[str, Note] = {}

    def line(self, page: str, of: str, heads: Mapping[str, str]) -> str | None:
        """What the catalogue says of the model, if its pages were made from the same; they may be gone since.

        Args:
            page: Its page.
            of: The digest of all that goes into its pages.
            heads: The heads of the logs beside its own.
        """
        match self._known.get(page):
            case {"of": known, "after": dict(after), "line": str(line)} if known == of:
                is_same = all(heads.get(model) == head for model, head in after.items())
                return self._lines.get(line) if is_same else None
        return None

    def is_same(self, page: str, of: str) -> bool:
        """Whether a page that has no line in the catalogue was made from the same."""
        match self._known.get(page):
            case {"of": known}:
                return bool(known == of)
        return False

    def keep(self, page: str) -> None:
        """Take over what the last export noted."""
        self.new[page] = self._known[page]

    def put(self, page: str, of: str, *, after: Mapping[str, str] | None = None, line: str = "") -> None:
        """Note what the pages are made from now."""
        told = {"after": dict(after or {}), "line": digest_of(line)} if line else {}
        self.new[page] = {"of": of, **told}


def digest_of(value: object) -> str:
    """A digest of a text, or of what JSON can hold."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def head_of(model: ModelFacts) -> str | None:
    """The head of the log it was read from; None where that is not told."""
    return model.versions[0].head if model.versions else None


def parts_of(model: ModelFacts) -> list[object]:
    """All that goes into its pages, beside what is read of its versions one by one, which their commits say."""
    stages = model.history.stages
    return [
        head_of(model), [*stages.order], sorted(stages.shared), model.prefix, model.registry, model.address,
        repr(model.declared), dict(model.measured), dict(model.params), dict(model.unmeasured),
    ]  # fmt: skip


def looked_at(
    model: ModelFacts, facts: Iterable[VersionFacts], heads: Mapping[str, str]
) -> dict[str, str] | None:
    """The heads of the other models that the lineages of the versions look at.

    None where the pages may come out otherwise though no log moves: something could not be read, or is in another
    repository, which goes its own way.
    """
    after: dict[str, str] = {}
    for each in facts:
        if each.problems or each.lineage is None:
            return None
        for node in each.lineage.nodes:
            if node.may_change or node.status == "unread" or node.repository is not None:
                return None
            if node.version is None or node is each.lineage.subject:
                continue
            try:
                other = Reference.parse(node.version).model
            except InvalidReferenceError:
                return None
            if other != model.name:
                if other not in heads:
                    return None
                after[other] = heads[other]
    return after
