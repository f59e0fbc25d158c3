"""Asks about many things at once, and where git fails for all of them, finds those that it can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from modelregistry.errors import GitError

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_MOST_FAILURES = 100


def each_answered(
    ask: Callable[[Sequence[Item]], Sequence[Answer]],
    batches: Sequence[Sequence[Item]],
    failed: Callable[[GitError], Answer],
) -> Iterator[tuple[Item, Answer]]:
    """Each item with its answer; a batch that git can't answer whole is halved.

    Args:
        ask: Answers a batch.
        batches: What is asked.
        failed: The answer for what git can't answer.
    """
    left = [*batches]
    failures = 0
    while left:
        batch = left.pop()
        try:
            answers = ask(batch)
        except GitError as error:
            failures += 1
            if len(batch) > 1 and failures < _MOST_FAILURES:
                half = len(batch) // 2
                left += [batch[:half], batch[half:]]
                continue
            answers = [failed(error)] * len(batch)
        yield from zip(batch, answers, strict=True)
