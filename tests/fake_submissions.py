"""Idempotency keys without a database."""

from dataclasses import dataclass, field

from schemas.errors import DependencyDown, IdempotencyInProgress, IdempotencyKeyReused
from schemas.ports import Taken


@dataclass
class FakeSubmissions:
    """Of each tenant and key: fingerprint, job, and the answer once there is one."""

    kept: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)
    free: set[tuple[str, str]] = field(default_factory=set)
    down: bool = False

    async def take(self, tenant: str, key: str, fingerprint: str, job: str) -> Taken:
        self._ping()
        mark, known, answer = self.kept.setdefault((tenant, key), (fingerprint, job, ""))
        if mark != fingerprint:
            raise IdempotencyKeyReused
        if answer:
            return Taken(answer=answer)
        if known != job and (tenant, key) not in self.free:
            raise IdempotencyInProgress(retry_after=1)
        self.free.discard((tenant, key))
        return Taken(job=known)

    async def done(self, tenant: str, key: str, job: str, answer: str) -> None:
        self._ping()
        mark, _, _ = self.kept[tenant, key]
        self.kept[tenant, key] = (mark, job, answer)

    async def give_up(self, tenant: str, key: str, job: str) -> None:
        self._ping()
        self.free.add((tenant, key))

    def _ping(self) -> None:
        if self.down:
            raise DependencyDown("PostgreSQL does not answer", retry_after=2)
