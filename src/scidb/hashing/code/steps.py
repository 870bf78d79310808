"""Walk a tree of any depth with functions that read as if they called themselves.

A step yields texts, and further steps, which run to their end before it goes on. So the depth of a text (a sum of
a thousand terms, a hundred ``elif``) costs no stack of Python, which is small and may be half used already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, Union

__all__ = ["Steps", "run", "texts"]

Steps: TypeAlias = Iterator[Union[str, "Steps"]]


def texts(first: Steps) -> Iterator[str]:
    """Run a step and all further ones, depth first; yield the texts in their order.

    Examples
    --------
    >>> def down(n):
    ...     yield str(n)
    ...     if n:
    ...         yield down(n - 1)
    ...     yield "."
    >>> "".join(texts(down(3)))
    '3210....'

    """
    pending = [first]
    while pending:
        for item in pending[-1]:
            if isinstance(item, str):
                yield item
            else:
                pending.append(item)
                break
        else:
            pending.pop()


def run(first: Steps) -> None:
    """Run a step and all further ones for what they do; their texts are dropped."""
    for _ in texts(first):
        pass
