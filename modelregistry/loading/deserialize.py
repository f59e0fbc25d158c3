"""The one choke point between verified bytes and an object: what is not allowed is refused, with what would allow it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from modelregistry.errors import UnknownFormatError, UntrustedModelError
from modelregistry.loaders.base import Inspection, Loader, Tier, UntrustedNamesError
from modelregistry.loading.loaderchoice import choose
from modelregistry.trust.trust import Decision, Vouching

_logger = logging.getLogger("modelregistry")

_SHOWN = 20
"""Names that a message lists; the error has them all."""
_WIDEST, _LONGEST = 200, 4000
"""Characters of a name and of a line to paste that a message shows."""


def deserialize(
    path: Path,
    name: str,
    *,
    digest: str,
    reference: str,
    loaders: Sequence[Loader],
    loader: str | None,
    framework: str | None = None,
    trust: Vouching,
) -> object:
    """The object in bytes whose digest the caller has verified.

    What the library behind a loader raises while it loads is not changed; a note says for which reference.

    Args:
        path: Where the bytes lie; nobody else may write there.
        name: What the file or folder is called in the repository.
        digest: The digest of the bytes, algorithm first.
        reference: What the caller asked for, for messages.
        loaders: The loaders to choose from.
        loader: The name of the one to take, whatever the file looks like; None to recognise it.
        framework: The framework that made the model, as a hint.
        trust: Who on the side of the one who loads vouches for what.

    Raises:
        UnknownFormatError: No loader or more than one recognises the file, or the file is malformed.
        UntrustedModelError: Loading needs more than the caller vouches for; nothing was run.
        MissingDependencyError: The library behind the loader is not installed.
    """
    try:
        choice = choose(path, name, loaders, wanted=loader, framework=framework)
        chosen, path = choice.loader, choice.path
        decision = trust.decide(digest)
        permit = decision.permit
        if permit.code:
            # Not inspected: nothing is left to decide, and a pickle that needs code may allow no inspection.
            _logger.info(
                "loading %s (%s) with %r, free to run code: %s",
                reference, digest, chosen.name, decision.reason,
            )  # fmt: skip
            return chosen.load(path, permit)
        needed = Inspection(Tier.CONFINED) if chosen.confines else chosen.inspect(path)
        if needed.tier < Tier.CODE and permit.names.issuperset(needed.names):
            try:
                return chosen.load(path, permit)
            except UntrustedNamesError as error:
                late = Inspection(Tier.NAMED, _all_names(chosen, path, error.names))
                raise _refusal(
                    late, decision, digest=digest, reference=reference, loader=chosen.name
                ) from error
        raise _refusal(needed, decision, digest=digest, reference=reference, loader=chosen.name)
    except UntrustedModelError:
        raise
    except Exception as error:
        error.add_note(f"while loading {reference} ({name!r}, {digest})")
        raise


def _all_names(loader: Loader, path: Path, met: Sequence[str]) -> tuple[str, ...]:
    """The names that stand in the way: those met while loading, and what comes after them in the file."""
    later: tuple[str, ...] = ()
    with suppress(UnknownFormatError):  # what those names would have made may be needed to read on
        later = loader.inspect(path).names
    return tuple(sorted({*met, *later}))


def escaped(name: str) -> str:
    """A name that a forger may have chosen, as it can be shown: it must not write to the reader's terminal."""
    return json.dumps(name)[1:-1][:_WIDEST]


def _refusal(
    needed: Inspection, decision: Decision, *, digest: str, reference: str, loader: str
) -> UntrustedModelError:
    permit = decision.permit
    tier = Tier.CODE if needed.tier >= Tier.CODE else Tier.NAMED
    missing = sorted(set(needed.names) - permit.names)
    found = "it can run any code" if tier is Tier.CODE else "it uses names that nobody here vouched for"
    given = "the trust given does not cover that" if permit.names else "no trust was given"

    # As JSON, because a forger may have chosen the names.
    options = [('trust="code"', "whatever you load may run any code")]
    if digest.startswith("sha256:"):  # no other digest is proof against forgers
        options[:0] = [
            (f'trust=["{digest}"]', "exactly these bytes may run any code"),
            (f"registry.trust({json.dumps(reference)})", "the same for good, after a look at what it shows"),
        ]
    if tier is Tier.NAMED:
        every_name = json.dumps(sorted(permit.names.union(missing)))
        options.insert(0, (f"trust={every_name}", "models may use these names, as they please"))
    if loader in {"joblib", "pickle"}:
        options.append(('skops.io.dump(model, "model.skops")', "and register that: skops needs fewer names"))

    lines = [f"{reference!r} was not loaded and none of this was run (tier {tier.name.lower()!r}): {found}"]
    lines += [f"    {escaped(name)}" for name in missing[:_SHOWN]]
    if len(missing) > _SHOWN:
        lines.append(f"    and {len(missing) - _SHOWN} more: see .names")
    lines.append(f"{digest} {decision.reason}, and {given}. If you trust who made it, use one of")
    for remedy, meaning in options:
        lines.append(f"    {remedy if len(remedy) < _LONGEST else 'see .remedies[0]'}  # {meaning}")
    return UntrustedModelError(
        "\n".join(lines),
        names=missing,
        digest=digest,
        tier=tier.name.lower(),
        remedies=[remedy for remedy, _ in options],
    )
