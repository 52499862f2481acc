"""PostgreSQL in memory, as far as our transactions see it: READ COMMITTED, row locks until the end, xids and snapshots.

A transaction keeps what it writes to itself and holds the rows it wrote or locked; who wants one of them waits, and
reads afterwards what was committed meanwhile. Each statement sees what was committed when it began, and its own.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

from tests.simulation.loop import CURRENT, OUTSIDE, VirtualLoop

Key = tuple[Any, ...]
Statement = Callable[["Connection", Mapping[str, Any]], Any]


class Ring(AssertionError):
    """Transactions wait for each other in a ring."""


class Database:
    """Tables by name: key to row. Down: every statement fails, and what was open is rolled back."""

    def __init__(self, loop: VirtualLoop, statements: Mapping[str, Statement]) -> None:
        self.loop = loop
        self.statements = statements
        self.tables: dict[str, dict[Key, dict[str, Any]]] = defaultdict(dict)
        self.down_until = 0.0
        self.slow = 0.0
        self.open: dict[int, Connection] = {}
        self.owners: dict[tuple[str, Key], Connection] = {}
        self.on_commit: list[Callable[[Connection], object]] = []
        self.rings: list[str] = []
        self._xid = 100
        self._seq = 0

    @property
    def down(self) -> bool:
        """Whether it does not answer now."""
        return self.loop.now < self.down_until

    @property
    def xmin(self) -> int:
        """Every transaction below this one has ended."""
        return min(self.open, default=self._xid + 1)

    def next_xid(self) -> int:
        self._xid += 1
        return self._xid

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def fail(self, until: float) -> None:
        """Go down: what is open is lost."""
        self.down_until = until
        for connection in list(self.open.values()):
            connection.lost = True
            connection.roll_back()

    def table(self, name: str) -> dict[Key, dict[str, Any]]:
        """What is committed."""
        return self.tables[name]


class Connection:
    """One transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._loop = database.loop
        self.written: dict[tuple[str, Key], dict[str, Any] | None] = {}
        self.held: list[tuple[str, Key]] = []
        self.waits_for: Connection | None = None
        self.released: asyncio.Event = asyncio.Event()
        self.lost = False
        self.ended = False
        self.xid = database.next_xid()
        database.open[self.xid] = self

    async def execute(self, statement: Any, parameters: dict[str, Any] | None = None) -> Any:
        """Run one of the statements that the simulation knows."""
        await self._way()
        given = _bound(statement) | (parameters or {})
        return await self.database.statements[statement.text](self, given)

    async def scalars(self, statement: Any, parameters: dict[str, Any] | None = None) -> Any:
        return await self.execute(statement, parameters)

    async def scalar(self, statement: Any, parameters: dict[str, Any] | None = None) -> Any:
        return await self.execute(statement, parameters)

    async def exec_driver_sql(self, _: str) -> None:
        await self._way()

    def get(self, table: str, key: Key) -> dict[str, Any] | None:
        """A row as this transaction sees it."""
        place = (table, key)
        return self.written[place] if place in self.written else self.database.table(table).get(key)

    def rows(self, table: str) -> Iterator[tuple[Key, dict[str, Any]]]:
        """All rows of a table as this transaction sees them."""
        mine = {key: row for (name, key), row in self.written.items() if name == table}
        for key, row in self.database.table(table).items():
            if key not in mine:
                yield key, row
        for key, found in mine.items():
            if found is not None:
                yield key, found

    def put(self, table: str, key: Key, row: dict[str, Any] | None) -> None:
        """Write a row that is locked."""
        self.written[table, key] = row

    async def lock(self, table: str, key: Key) -> None:
        """Hold a row (or the place where one may come) until the end."""
        place = (table, key)
        owners = self.database.owners
        while (owner := owners.get(place)) not in (None, self):
            assert owner is not None
            self.waits_for = owner
            self._see_rings()
            await owner.released.wait()
            self.waits_for = None
            self._check()
        if owner is None:
            owners[place] = self
            self.held.append(place)

    def commit(self) -> None:
        self._check()
        for hear in self.database.on_commit:
            hear(self)
        for (table, key), row in self.written.items():
            if row is None:
                self.database.table(table).pop(key, None)
            else:
                self.database.table(table)[key] = row
        self._end()

    def roll_back(self) -> None:
        if not self.ended:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self.database.open.pop(self.xid, None)
        for place in self.held:
            del self.database.owners[place]
        OUTSIDE.copy().run(self.released.set)

    async def _way(self) -> None:
        """To the server: an outage is noticed here, and others come between two statements."""
        drawn = self._loop.random.random()
        if drawn < 0.15:
            await asyncio.sleep(drawn * 0.03 if drawn < 0.13 else self.database.slow)
        self._check()

    def _check(self) -> None:
        if self.lost or self._loop.now < self.database.down_until:
            self.roll_back()
            raise ConnectionResetError("PostgreSQL does not answer")

    def _see_rings(self) -> None:
        seen, at = [self], self.waits_for
        while at is not None and at not in seen:
            seen.append(at)
            at = at.waits_for
        if at is not None:
            self.database.rings.append(" -> ".join(str(connection.xid) for connection in seen))
            self.roll_back()
            raise ConnectionAbortedError("deadlock detected")


class Engine:
    """What a sink takes for its pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> "Transaction":
        return Transaction(self._database)

    def execution_options(self, **_: object) -> "Engine":
        """Statements that would stand alone are one transaction here."""
        return self

    async def dispose(self) -> None:
        return


class Transaction:
    """A connection that is committed at the end of its block, and rolled back where that raises or its process dies."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._process = CURRENT.get()

    async def __aenter__(self) -> Connection:
        connection = self._connection = Connection(self._database)
        if self._process is not None:
            self._process.at_death.append(connection.roll_back)
        try:
            await connection._way()
        except BaseException:
            self._close()
            raise
        return connection

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self._connection._way()
                self._connection.commit()
                if self._database.loop.random.random() < 0.02:
                    raise ConnectionResetError("committed, and the answer was lost")
        finally:
            self._close()

    def _close(self) -> None:
        self._connection.roll_back()
        if self._process is not None:
            self._process.at_death.remove(self._connection.roll_back)


@cache
def _bound(statement: Any) -> dict[str, Any]:
    """What a statement was given when it was written."""
    return {name: parameter.value for name, parameter in statement._bindparams.items()}


class Found(list[Any]):
    """A statement's rows."""

    returns_rows = True

    def all(self) -> "Found":
        return self

    def mappings(self) -> "Found":
        return self

    def first(self) -> Any:
        return self[0] if self else None


def rowed(**columns: Any) -> SimpleNamespace:
    """A row whose columns are attributes."""
    return SimpleNamespace(**columns)
