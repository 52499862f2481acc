"""Composition root of the sinks: `python -m sinks.worker NAME` is one member of the sink's consumer group.

`relay` and `reconciler` are processes of their own shape: they read tables, and one of each works.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from processors import logs, telemetry
from processors.endings import Endings
from processors.handlers import SinkHandler
from processors.worker import Job, leave, mark_ready, run
from schemas.failpoints import Failpoints
from schemas.settings import Settings
from schemas.work import Sink
from sinks.blobs import open_blobs


def _projector(settings: Settings, failpoints: Failpoints) -> Sink:
    from sinks.projector import Projector

    return Projector(settings.postgres.get_secret_value(), failpoints)


def _pgvector(settings: Settings, failpoints: Failpoints) -> Sink:
    from sinks.pgvector_index import PgvectorIndex

    return PgvectorIndex(settings.postgres.get_secret_value(), failpoints)


def _weaviate(settings: Settings, failpoints: Failpoints) -> Sink:
    from sinks.weaviate_index import WeaviateIndex

    return WeaviateIndex(settings, failpoints)


def _eraser(settings: Settings, _: Failpoints) -> Sink:
    from sinks.eraser import Eraser

    return Eraser(open_blobs(settings.blobs))


def _dead_letters(settings: Settings, failpoints: Failpoints) -> Sink:
    from sinks.dead_letters import DeadLetters

    return DeadLetters(settings.postgres.get_secret_value(), failpoints, telemetry.open_letters)


def _dispatcher(settings: Settings, failpoints: Failpoints) -> Sink:
    from sinks.dispatcher import open_dispatcher

    return open_dispatcher(settings, failpoints, telemetry.HOLDING.labels("dispatcher").set)


def _webhooks(settings: Settings, failpoints: Failpoints) -> Sink:
    from sinks.webhooks.opening import open_webhooks

    return open_webhooks(settings, failpoints, telemetry.HOLDING.labels("webhooks").set, telemetry.webhook_attempts())


SINKS: dict[str, Callable[[Settings, Failpoints], Sink]] = {
    "projector": _projector,
    "index-pgvector": _pgvector,
    "index-weaviate": _weaviate,
    "eraser": _eraser,
    "dead-letters": _dead_letters,
    "dispatcher": _dispatcher,
    "webhooks": _webhooks,
}
HEARS_ALL = frozenset({"projector", "eraser", "dead-letters", "webhooks"})  # also of jobs that are cancelled or expired
BATCH = 64  # records of one transaction: beyond it a commit is no longer what costs


ALONE = ("relay", "reconciler")
"""Processes that are no members of a group: of each one works, any others stand by."""


def _alone(name: str, settings: Settings) -> int:
    logs.set_up()
    if settings.metrics_port:
        telemetry.serve(settings.metrics_port, settings.metrics_host)
    root = import_module({"relay": "sinks.relay", "reconciler": "sinks.reconciling"}[name])
    status: int = root.run(settings, lambda: mark_ready(settings), telemetry.HOLDING.labels(name).set)
    return status


def main() -> int:
    """Run the sink named on the command line."""
    (name,) = sys.argv[1:]
    settings = Settings()
    if name in ALONE:
        return _alone(name, settings)
    sink = SINKS[name](settings, Failpoints(settings.slot, settings.run_dir))
    job = Job(name, SinkHandler(sink), BATCH, "kafka", skips=name not in HEARS_ALL)
    if name == "dead-letters":
        from sinks.dead_letters import addressed, as_it_lies

        job = replace(job, unpack=as_it_lies, decode=addressed)
    return run(job, settings, open_blobs(settings.blobs), Endings(settings.slot, settings.run_dir))


if __name__ == "__main__":
    leave(main())
