"""`headrace worker`, `sink` and `api`: one process of the platform, as containers and supervisors start it.

The command checks what it is told and then becomes the process: same pid, signals and exit status, nothing of the
command line left in memory.
"""

import os
import sys
from typing import Annotated, Literal

import typer

from cli.errors import CliError, Exit

StepName = Literal["prepare", "ocr", "chunk", "embed"]
SinkName = Literal[
    "dispatcher", "projector", "index-pgvector", "index-weaviate", "relay", "eraser", "dead-letters", "reconciler",
    "webhooks",
]  # fmt: skip

_MEMBER = (
    "KAFKA", "KAFKA_*", "BLOBS", "SLOT", "RUN_DIR", "METRICS_*", "DEV", "SESSION_SECONDS", "PUBLISH_SECONDS", "STREAM",
    "INDEXES", "GRACE_SECONDS", "HALT_*", "LOOP_SECONDS", "STALL_SECONDS",
)  # fmt: skip
READS = {
    "worker": (*_MEMBER, "MODELS", "BATCH", "ENGINES", "MAX_*", "DECODE_*"),
    "sink": (
        *_MEMBER, "POSTGRES", "WEAVIATE", "WEAVIATE_*", "TENANT_TOPICS", "OUTBOX_DAYS", "DEADLINE_HOURS",
        "OVERDUE_SECONDS", "RECONCILE_SECONDS", "SWEEP_SECONDS", "DEAD_LETTER_DAYS", "WEIGHTS", "INTERACTIVE_ALLOWANCE",
        "ID_KEYS", "PUBLIC_URL", "WEBHOOK_*", "LIMITS", "TENANT_LIMITS",
    ),
    "api": (
        "KAFKA", "KAFKA_*", "POSTGRES", "BLOBS", "ID_KEYS", "API_KEYS", "INDEXES", "WEAVIATE", "WEAVIATE_*", "MODELS",
        "ENGINES", "UPLOAD_LIMIT", "DEADLINE_HOURS", "PUBLISH_SECONDS", "SLOT", "RUN_DIR", "MAX_STREAMS",
        "MAX_WAITING_*", "PUBLIC_URL", "ISSUERS", "WEBHOOK_*", "IDEMPOTENCY_HOURS", "CORS_ORIGINS",
        "LIMITS", "TENANT_LIMITS", "REDIS",
    ),
}  # fmt: skip
"""Settings by process, without `HEADRACE_`; a star stands for every name that begins so."""


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command(epilog=_reads("worker"))
    def worker(step: Annotated[StepName, typer.Argument(help="The step.", metavar="STEP")]) -> None:
        """Run one worker of a step: prepare, ocr, chunk or embed."""
        _become("processors.worker", step)

    @app.command(epilog=_reads("sink"))
    def sink(name: Annotated[SinkName, typer.Argument(help="The sink.", metavar="NAME")]) -> None:
        """Run one sink, of those that are named below."""
        _become("sinks.worker", name)

    @app.command(epilog=_reads("api"))
    def api(
        *,
        host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="The port; 0 for any.", min=0, max=65535)] = 8000,
    ) -> None:
        """Run one API process."""
        _become("api.main", "--host", host, "--own-port", str(port))


def _reads(process: str) -> str:
    names = ", ".join(f"HEADRACE_{name}" for name in READS[process])
    return f"Reads {names}; docs/operations.md explains each."


def _become(module: str, *arguments: str) -> None:
    from cli.configuration import settings

    if module == "api.main" and not settings().id_keys:
        hint = "give a JSON object of key number to secret, the same to every API process"
        raise CliError("HEADRACE_ID_KEYS is not set: job ids are signed with it", Exit.USAGE, hint)
    settings()  # what is wrong with it is told here, in one line
    sys.stdout.flush()
    # -P: a file or folder of the user's named like a module of ours must not be imported in its place
    os.execv(sys.executable, (sys.executable, "-P", "-m", module, *arguments))  # noqa: S606 a list of ours, no shell
