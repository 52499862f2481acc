"""Lists that a server gives page by page."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from cli.output import note

T = TypeVar("T", covariant=True)
_MOST = 100  # of one answer


class Page(Protocol[T]):
    """A part of a list: what is on it, and the cursor to the next one."""

    @property
    def data(self) -> Sequence[T]:
        """What is on it."""
        ...

    @property
    def next(self) -> str | None:
        """The cursor of the page after it, None on the last."""
        ...


def pages(fetch: Callable[[dict[str, str]], Page[T]], limit: int, things: str) -> Iterator[T]:
    """The first `limit` items, fetched as they are taken; says when there are none, and when there are more."""
    left, cursor = limit, ""
    while True:
        page = fetch({"limit": str(min(left, _MOST))} | ({"after": cursor} if cursor else {}))
        yield from page.data
        left -= len(page.data)
        if left == limit:
            note(f"no {things}")
        if page.next is None or not page.data:
            return
        if left <= 0:
            note(f"there are more {things}; --limit shows them")
            return
        cursor = page.next
