"""When each API key was last used: noted here, written at intervals, so that no request waits for a database."""

import asyncio
import contextlib
from collections import defaultdict
from datetime import UTC, datetime

from api.auth.identity import Identity
from schemas.errors import DependencyDown
from schemas.ports import KeyStore

WRITE_SECONDS = 30.0


class KeyUse:
    """The newest use of each key since it was last written; what a process that ends had not written is forgotten."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._used: dict[str, dict[str, datetime]] = defaultdict(dict)
        self._task: asyncio.Task[None] | None = None

    def note(self, who: Identity) -> None:
        """`who` was let in just now."""
        if who.key is not None:
            self._used[who.tenant][who.key] = datetime.now(UTC)

    def start(self) -> None:
        """Begin to write, inside the event loop."""
        self._task = asyncio.create_task(self._write_often())

    async def stop(self) -> None:
        """Write what there is, if that is possible at once, and end."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._write()

    async def _write_often(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write()

    async def _write(self) -> None:
        for tenant, used in list(self._used.items()):
            with contextlib.suppress(DependencyDown):  # then with the next round
                await self._store.used(tenant, dict(used))
                left = {key: at for key, at in self._used[tenant].items() if at != used.get(key)}
                self._used[tenant] = left
                if not left:
                    del self._used[tenant]
