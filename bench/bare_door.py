"""The floor of accepting: FastAPI and aiokafka, the same writes, and nothing else. `python -m bench.bare_door`.

A route as one writes it first: the whole form is read, the file is stored durably, a record is produced and confirmed;
with an `Idempotency-Key`, a row before and its answer behind. No authentication, no limits, no checks.
"""

import argparse
import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Header, UploadFile

_HEADERS = [(f"ce_{name}", b"x" * 24) for name in ("id", "type", "time", "job", "tenant", "plan", "document", "lane")]
_TAKE = "INSERT INTO idempotency_keys (tenant, key, fingerprint, job) VALUES ('demo', $1, $2, $3)"
_DONE = "UPDATE idempotency_keys SET published = true, answer = $2 WHERE tenant = 'demo' AND key = $1"


def app(kafka: str, postgres: str, folder: Path) -> FastAPI:
    """The route, with its producer and pool."""
    held: dict[str, Any] = {}

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        held["pool"] = await asyncpg.create_pool(postgres, min_size=1, max_size=8)
        held["producer"] = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
        await held["producer"].start()
        yield
        await held["producer"].stop()
        await held["pool"].close()

    made = FastAPI(lifespan=life)

    @made.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @made.post("/v1/jobs", status_code=202)
    async def submit(file: UploadFile, idempotency_key: Annotated[str | None, Header()] = None) -> dict[str, str]:
        content, job = await file.read(), f"job_{uuid.uuid4().hex}"
        digest = hashlib.sha256(content).hexdigest()
        await asyncio.to_thread(_store, folder / job, content)
        if idempotency_key is not None:
            await held["pool"].execute(_TAKE, idempotency_key, digest, job)
        value = f'{{"source":{{"key":"{job}","sha256":"{digest}","size":{len(content)}}}}}'.encode()
        await held["producer"].send_and_wait("headrace.jobs", value, key=job.encode(), headers=_HEADERS)
        if idempotency_key is not None:
            await held["pool"].execute(_DONE, idempotency_key, value.decode())
        return {"id": job, "state": "queued"}

    return made


def _store(path: Path, content: bytes) -> None:
    """Durably: a draft, synced and renamed, and then the folder that holds its name."""
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    opened = os.open(path.parent, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--kafka", "--postgres", "--folder", "--port"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    served = app(asked.kafka, asked.postgres, Path(asked.folder))
    uvicorn.run(served, port=int(asked.port), access_log=False, log_level="warning")
