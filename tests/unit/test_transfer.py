"""What git says of a transfer, told apart from what else it says."""

from __future__ import annotations

import pytest

from modelregistry.git.transfer import Listener

SAID = (
    b"remote: Enumerating objects: 12, done.\n"
    b"remote: Counting objects:   8% (1/12)\rremote: Counting objects: 100% (12/12)\rremote: Counting objects: 100% (12/12), done.\n"
    b"remote: Compressing objects: 100% (3/3), done.\n"
    b"remote: Total 12 (delta 0), reused 0 (delta 0), pack-reused 0\n"
    b"Receiving objects:   8% (1/12)\rReceiving objects:  50% (6/12), 3.20 MiB | 1.10 MiB/s\r"
    b"Receiving objects: 100% (12/12), 3.20 MiB | 1.10 MiB/s, done.\nResolving deltas: 100% (2/2), done.\n"
    b"From https://example.org/team/models\n * [new tag]         churn@v0.1.0 -> churn@v0.1.0\n"
    b"remote: be kind\nfatal: the remote end hung up unexpectedly\n"
)


@pytest.mark.parametrize("size", [1, 7, 64, len(SAID)])
def test_objects_are_told_and_all_else_is_kept_however_it_comes_in(size: int) -> None:
    told: list[tuple[int, int | None]] = []
    listener = Listener(lambda done, total: told.append((done, total)))
    for start in range(0, len(SAID), size):
        listener.hear(SAID[start : start + size])
    assert told == [(1, 12), (6, 12), (12, 12)]
    assert listener.said == (
        b"From https://example.org/team/models\n * [new tag]         churn@v0.1.0 -> churn@v0.1.0\n"
        b"remote: be kind\nfatal: the remote end hung up unexpectedly\n"
    )
