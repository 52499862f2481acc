"""Dead letters of nobody: bytes that are no record of ours, and records of unknown jobs. For operators alone."""

import uuid
from collections.abc import Sequence
from typing import Any

from schemas.dead_letters import LetterList, LetterQuery
from schemas.ports import StoredLetter
from sinks.postgres import letters
from sinks.postgres.engine import connect, transaction
from sinks.postgres.letter_reader import PostgresLetterReader
from sinks.postgres.rows import bulk

_NOBODY = ""


class Strays:
    """What no tenant is shown, as role `headrace_sink`; everything raises `DependencyDown`."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        self._reader = PostgresLetterReader(url)

    async def listed(self, query: LetterQuery) -> LetterList:
        """A page of them, newest first; raises `BadRequest` for a foreign cursor."""
        return await self._reader.letters(_NOBODY, query)

    async def one(self, letter: uuid.UUID) -> StoredLetter | None:
        """One whole, or None where nobody's letters have no such."""
        return await self._reader.letter(_NOBODY, letter)

    async def discard(self, chosen: Sequence[uuid.UUID], by: str) -> int:
        """Close those of them that are open; how many that were."""
        asked = {"ids": [str(letter) for letter in chosen], "tenant": _NOBODY}
        async with transaction(self._engine) as connection:
            found = [str(row.id) for row in await connection.execute(letters.TAKE, asked)]
            await bulk(connection, letters.CLOSE, [{"letter": letter, "state": "discarded"} for letter in found])
            told: dict[str, Any] = {"tenant": _NOBODY, "action": "discarded", "by": by, "reason": "", "edits": {}}
            await bulk(connection, letters.NOTE, [{"letter": letter, **told} for letter in found])
        return len(found)

    async def close(self) -> None:
        """Close the pools."""
        await self._reader.close()
        await self._engine.dispose()
