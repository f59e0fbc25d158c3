"""Under what licenses a model is distributed, as its metadata tells."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

KEYS = ("license", "licenses", "licence", "licences")
"""Where metadata tells it; the first that says something counts."""


def licenses(metadata: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """What ``license`` (or ``licence``, or the plural) says, else the ``card``; nothing where neither says anything."""
    for key in KEYS:
        match metadata.get(key):
            case str() as text if text.strip():
                return (text.strip(),)
            case list() as several:
                return tuple(each.strip() for each in several if isinstance(each, str) and each.strip())
    card = metadata.get("card")
    return licenses(card) if isinstance(card, dict) else ()


def expression(said: str) -> str | None:
    """A license as SPDX spells it; None where it is no SPDX expression."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(said))
    except InvalidLicenseExpression:
        return None
