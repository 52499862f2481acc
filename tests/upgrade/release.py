"""`make release`: what the next release needs of this one to prove that it can take its place.

Runs the code of a commit (REVISION, else HEAD) as a stack, gives it documents that bring out every kind of record, and
writes beside this file what it then finds: the database's schema, the topics with their settings, the plans, records as
they lie on the log, and the code itself with its lock.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from confluent_kafka.admin import AdminClient

from deploy.local.samples import letters
from deploy.local.session import Session
from producers.clients import librdkafka
from schemas.broker import Broker
from tests.faults.documents import sections
from tests.flow.jobs import ended
from tests.support import read, until
from tests.upgrade.releases import CODE, LAST, LOCK, ROOT
from tests.upgrade.schema import dumped

ROOMS = ("api", "cli", "deploy", "processors", "producers", "schemas", "sinks", "docs/api", "pyproject.toml", LOCK)
OF_EACH = 2
_TELL = """
import dataclasses, json
from schemas import plans, topics
print(json.dumps({
    "topics": {topic.name: dataclasses.asdict(topic) | {"settings": topic.settings()} for topic in topics.TOPICS},
    "plans": {name: plan.model_dump(mode="json") for name, plan in plans.PLANS.items()},
}))
"""


def main() -> None:
    """Write the folder anew."""
    revision = sys.argv[1] if len(sys.argv) > 1 else "HEAD"
    commit = _git("rev-parse", f"{revision}^{{commit}}").decode().strip()
    LAST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        code, stack = Path(scratch, "code"), Path(scratch, "stack")
        files = _pack(commit, code)
        told = _told(code)
        (stack / "run" / "failpoints").mkdir(parents=True)
        with Session(stack, {"PYTHONPATH": str(code), "HEADRACE_ENGINES": "sleep:0.2"}) as running:
            _work(running, Path(scratch))
            files["schema.sql"] = dumped(running.admin_url).encode()
            files["records.ndjson"] = _records(Broker(running.kafka), told["topics"]).encode()
        version = tomllib.loads((code / "pyproject.toml").read_text())["project"]["version"]
    about = {"version": version, "commit": commit, "made": datetime.now(UTC).date().isoformat()}
    files |= {f"{name}.json": _json(told[name]) for name in told} | {"release.json": _json(about)}
    for name, content in files.items():
        (LAST / name).write_bytes(content)
    sys.stdout.write(f"{LAST.relative_to(ROOT)}: release {version} of {commit[:12]}\n")


def _pack(commit: str, code: Path) -> dict[str, bytes]:
    """Unpack the commit's code into `code`; the archive that is kept, the same bytes for the same commit."""
    plain = _git("archive", "--format=tar", commit, *ROOMS)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        archive.extractall(code, filter="data")
    packed = subprocess.run(["xz", "-9e", "--threads=1"], input=plain, check=True, capture_output=True).stdout
    return {CODE: packed}


def _told(code: Path) -> dict[str, Any]:
    env = {**os.environ, "PYTHONPATH": str(code)}
    said = subprocess.run([sys.executable, "-P", "-c", _TELL], env=env, check=True, capture_output=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def _work(stack: Session, folder: Path) -> None:
    """Every way that a document can go."""
    letters(folder / "two.pdf", 2)
    for name, parts in (("short.txt", 2), ("long.txt", 20)):
        (folder / name).write_text(sections(parts, 1))
    broken = (folder / "two.pdf").read_bytes()[:2000]
    with httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=30) as client:

        def submit(name: str, content: bytes, document: str) -> str:
            sent = client.post("/v1/jobs", files={"file": (name, content)}, data={"document_id": document})
            return str(sent.raise_for_status().json()["id"])

        (stack.folder / "run" / "failpoints" / "chunk-1.handler").touch()
        for name, document in (("two.pdf", "kept"), ("short.txt", "replaced"), ("two.pdf", "replaced")):
            assert ended(client, submit(name, (folder / name).read_bytes(), document))["state"] == "succeeded"
        failed = submit("two.pdf", broken, "broken")
        assert ended(client, failed)["state"] == "failed"
        client.post(f"/v1/jobs/{failed}/retry").raise_for_status()
        cancelled = submit("two.pdf", (folder / "two.pdf").read_bytes(), "cancelled")
        until(lambda: client.get(f"/v1/jobs/{cancelled}").json().get("document_id"), 20, "the job to be projected")
        client.post(f"/v1/jobs/{cancelled}/cancel").raise_for_status()
        ended(client, cancelled)
        client.delete("/v1/documents/replaced").raise_for_status()
    told = {"DocumentDeleted", "JobEnded"}
    until(lambda: told <= _kinds(Broker(stack.kafka), "headrace.results"), 30, "the relay to tell of it")


def _kinds(broker: Broker, topic: str) -> set[str]:
    return {_kind(dict(message.headers() or [])) for message in read(broker, topic)}


def _kind(headers: dict[str, bytes]) -> str:
    return headers.get("ce_type", b"..").decode().split(".")[1]


def _records(broker: Broker, topics: dict[str, Any]) -> str:
    """The smallest records of each kind on each topic, a line each."""
    lines = []
    there = AdminClient(librdkafka(broker)).list_topics(timeout=10).topics
    for topic in sorted(topics.keys() & there.keys()):
        found = defaultdict(list)
        for message in read(broker, topic):
            headers = message.headers() or []
            line = {
                "topic": topic, "key": message.key().decode(), "at": message.timestamp()[1] / 1000,
                "headers": [[name, value.decode()] for name, value in headers],
                "value": message.value() and message.value().decode(),
            }  # fmt: skip
            found[_kind(dict(headers))].append(json.dumps(line))
        lines += [line for kind in sorted(found) for line in sorted(found[kind], key=len)[:OF_EACH]]
    return "\n".join(lines) + "\n"


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


if __name__ == "__main__":
    main()
