"""Composition root of the relay, which is no member of a group: one process works, any others stand by."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable

from producers import provisioning
from producers.relay import Parts, Relay
from producers.relay_log import RelayLog
from schemas.errors import DependencyDown
from schemas.failpoints import Failpoints
from schemas.settings import Settings
from schemas.topics import CHUNK, CONTROL, DOCUMENTS, EVENTS, RELAY, RESULTS, tenant_results
from sinks.postgres.outbox import PostgresOutbox

log = logging.getLogger(__name__)


def run(settings: Settings, ready: Callable[[], object], holding: Callable[[float], object]) -> int:
    """Relay until told to stop; the exit status. `ready` and `holding` as in `relay.Parts`.

    A relay that hangs is replaced after `settings.session_seconds`, as a step's worker is.
    """
    _wait_for_topics(settings)
    failpoints = Failpoints(settings.slot, settings.run_dir)
    outbox = PostgresOutbox(settings.postgres.get_secret_value(), settings.session_seconds, settings.outbox_days)
    parts = Parts(
        outbox=outbox,
        # Shorter than the lease: a log that does not answer must not look like a process that hangs.
        connect=lambda: RelayLog(settings.broker, failpoints, settings.session_seconds / 2),
        tenants=settings.tenant_topics,
        ready=ready,
        holding=holding,
        patience=2 * settings.session_seconds,
    )
    return asyncio.run(_serve(parts))


async def _serve(parts: Parts) -> int:
    relay = Relay(parts)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, relay.stop)
    return await relay.run()


def _wait_for_topics(settings: Settings) -> None:
    """Refuse to start without topics; a log that is away is waited for."""
    own = (tenant_results(tenant) for tenant in sorted(settings.tenant_topics))
    needed = tuple(topic.name for topic in (RESULTS, RELAY, DOCUMENTS, EVENTS, CHUNK, CONTROL, *own))
    while True:
        try:
            return provisioning.check(settings.broker, needed, dev=settings.dev)
        except DependencyDown as error:
            log.warning("%s", error)
            time.sleep(1)
