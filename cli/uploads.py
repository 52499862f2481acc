"""Many uploads at once, told in the order in which they were asked for."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cli.client import Client
from cli.errors import CliError, Exit
from cli.tally import Sent

_AT_ONCE = 4  # the log's confirmation is what an upload waits for; more than a few only fill the server's memory
_PATIENCE = 60.0  # seconds that a server which was there may be away, or too busy


class Uploads:
    """Sends files, a few at a time. A refused one does not stop the others; a server that is lost does: see `lost`."""

    def __init__(self, client: Client, until: float | None) -> None:
        self._client = client
        self._until = until
        self._there = False
        self.lost: CliError | None = None

    def send(self, files: Iterable[tuple[Path, Mapping[str, str]]]) -> Iterator[Sent]:
        """Each file (with the fields of its form) that was tried, in order; at most a few are open at once."""
        waiting: deque[Future[Sent | None]] = deque()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                for path, fields in files:
                    if self.lost is not None:
                        break
                    waiting.append(pool.submit(self._send, path, fields))
                    if len(waiting) > 2 * _AT_ONCE:
                        yield from _done(waiting[0])
                        waiting.popleft()
                while waiting:
                    yield from _done(waiting[0])
                    waiting.popleft()
            except KeyboardInterrupt:  # what was accepted is told, whoever has lost patience
                self.lost = CliError("interrupted", Exit.INTERRUPTED)
                for future in waiting:
                    if not future.cancel():
                        yield from _done(future)

    def _send(self, path: Path, fields: Mapping[str, str]) -> Sent | None:
        if self.lost is not None:
            return None
        until = time.monotonic() + _PATIENCE if self._there and self._until is None else self._until
        try:
            accepted = self._client.submit(path, fields, until=until)
        except CliError as error:
            if error.code not in (Exit.FAILED, Exit.USAGE):
                self.lost = error
            return Sent(path, error=error)
        self._there = True
        return Sent(path, accepted["id"], accepted["document_id"])


def _done(future: "Future[Sent | None]") -> Iterator[Sent]:
    sent = future.result()
    if sent is not None:
        yield sent
