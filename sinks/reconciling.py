"""Composition root of the reconciler: its duties as settings name them, for its process and for one round by hand."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.lifetimes import Lifetimes, lifetimes
from schemas.settings import Settings
from sinks.blob_sweep import BlobSweep
from sinks.blobs import open_blobs
from sinks.key_round import KeyRound
from sinks.order_sweep import OrderSweep
from sinks.overdue import Overdue
from sinks.page_round import PageRound
from sinks.postgres.engine import connect
from sinks.postgres.lead import Lead
from sinks.reconciler import Duty, Parts, Reconciler
from sinks.sweeps import RowSweep
from sinks.usage_round import UsageRound

if TYPE_CHECKING:
    from sinks.weaviate_round import WeaviateRound

LOCK = "headrace.reconciler"
_USAGE_SECONDS = 5.0


def run(settings: Settings, ready: Callable[[], object], holding: Callable[[float], object]) -> int:
    """Reconcile until told to stop; the exit status. `ready` and `holding` as in `reconciler.Parts`."""
    return asyncio.run(_serve(settings, ready, holding))


async def once(settings: Settings, *, dry: bool) -> Counter[str]:
    """One round of every duty, without the lead: what was found. Raises `HeadraceError`."""
    found: Counter[str] = Counter()
    async with duties(settings) as all_duties:
        for duty in all_duties:
            found += await duty.round(dry=dry)
    return found


@asynccontextmanager
async def duties(settings: Settings) -> AsyncIterator[list[Duty]]:
    """The duties, connected as they need."""
    engine = connect(settings.postgres.get_secret_value())
    async with AsyncExitStack() as closing:
        closing.push_async_callback(engine.dispose)
        found = [
            Duty("overdue", settings.overdue_seconds, Overdue(engine, settings.deadline_hours).run),
            Duty("usage", _USAGE_SECONDS, UsageRound(engine, settings.limits, settings.tenant_limits).run),
            Duty("keys", settings.reconcile_seconds, KeyRound(engine, settings.broker).run),
            Duty("pages", settings.reconcile_seconds, PageRound(engine).run),
        ]
        lives = lifetimes(settings.dead_letter_days)
        found += [
            Duty("rows", settings.sweep_seconds, _rows(engine, lives, settings).run),
            Duty("orders", settings.sweep_seconds, OrderSweep(engine, settings.broker, settings.publish_seconds).run),
            Duty("blobs", settings.sweep_seconds, BlobSweep(engine, open_blobs(settings.blobs), lives).run),
        ]
        if settings.weaviate:
            passages = _Passages(settings)
            closing.push_async_callback(passages.close)
            found.append(Duty("weaviate", settings.reconcile_seconds, passages.run))
        yield found


class _Passages:
    """The round over Weaviate, whose client takes a second to load: not before there is a round to make."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._round: WeaviateRound | None = None

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """As `Round`."""
        passages = self._round
        if passages is None:
            module = await asyncio.to_thread(import_module, "sinks.weaviate_round")
            passages = self._round = module.WeaviateRound(self._settings)
        return await passages.run(dry=dry)

    async def close(self) -> None:
        """Let go of what was opened."""
        if self._round is not None:
            await self._round.close()


def _rows(engine: AsyncEngine, lives: Lifetimes, settings: Settings) -> RowSweep:
    days, hours = settings.webhook_days, settings.idempotency_hours
    return RowSweep(engine, lives, message=timedelta(days=days), key=timedelta(hours=hours))


async def _serve(settings: Settings, ready: Callable[[], object], holding: Callable[[float], object]) -> int:
    lead = Lead(settings.postgres.get_secret_value(), LOCK, settings.session_seconds)
    async with duties(settings) as all_duties:
        reconciler = Reconciler(Parts(lead, all_duties, ready, holding))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, reconciler.stop)
        return await reconciler.run()
