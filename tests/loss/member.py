"""A member of a group under test, run as `python -m tests.loss.member` with its script as JSON on the command line.

The stream, loop, batcher, watermarks, attempts and publisher are the real ones; only the step is scripted.
"""

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from processors.attempts import Attempts
from processors.endings import Endings
from processors.handlers import StepHandler
from processors.inflight import InflightFile
from processors.runner import Parts, Runner
from processors.stream.control_view import ControlView
from processors.stream.port import Group
from processors.watermark import Watermarks
from processors.worker import adapter
from producers import provisioning
from producers.compacted_view import CompactedView
from producers.publisher import KafkaPublisher
from schemas.codec import follow
from schemas.documents import ChunksIndexed
from schemas.errors import ModelOutputInvalid, NewerThanUs
from schemas.failpoints import Failpoints
from schemas.records import Record
from schemas.settings import Settings
from schemas.topics import ATTEMPTS, CONTROL
from schemas.work import Answer, Task


class Scripted:
    """Emits one record for each; sleeps, raises or dies where the script says so."""

    def __init__(self, script: dict[str, object], journal: Path) -> None:
        self.name = str(script.get("name", "scripted"))
        self._script = script
        self._journal = journal.open("a", buffering=1)

    def load(self) -> None:
        self._note("loaded", 0)

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        gc.collect()
        answers: list[Answer] = []
        for task in tasks:
            number = task.envelope.part
            self._note("start", number)
            time.sleep(float(str(self._script.get("seconds", 0))))
            if number in self._numbers("dies_at"):
                os.kill(os.getpid(), signal.SIGKILL)
            if number in self._numbers("raises_at"):
                raise RuntimeError("scripted")
            if number in self._numbers("nonsense_at"):
                answers.append(ModelOutputInvalid("scripted"))
                continue
            if number in self._numbers("newer_at"):
                answers.append(NewerThanUs("scripted"))
                continue
            out = follow(str(self._script["out"]), task.envelope, self.name, ChunksIndexed(index="test", count=1))
            answers.append([out])
            self._note("done", number)
        return answers

    def _numbers(self, name: str) -> list[int]:
        found = self._script.get(name, [])
        assert isinstance(found, list)
        return found

    def _note(self, what: str, number: int) -> None:
        self._journal.write(json.dumps([time.time(), os.getpid(), what, number]) + "\n")


async def _as_is(record: Record) -> Record:
    return record


def main() -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    script = json.loads(sys.argv[1])
    folder, slot, broker = Path(script["folder"]), script["slot"], Settings().broker
    group = Group(script["group"], slot, (script["topic"], *script.get("more", ())), broker, session_seconds=6.0)
    provisioning.check(broker, group.topics, dev=True)
    watermarks = Watermarks()
    step, endings = Scripted(script, folder / "journal"), Endings(slot, folder)

    async def build() -> Runner:
        marks, orders = CompactedView(ATTEMPTS.name, broker), ControlView(CONTROL.name, broker)
        await asyncio.gather(marks.open(), orders.open())
        return Runner(
            Parts(
                handler=StepHandler(step, 60.0, leave=partial(endings.end, "engine_deadline")),
                publisher=KafkaPublisher(broker),
                attempts=Attempts(group.name, InflightFile(folder, slot), marks),
                orders=orders,
                failpoints=Failpoints(slot, folder),
                finish=watermarks.finish,
                beyond=watermarks.beyond,
                owned=watermarks.is_open,
                limit=int(script.get("limit", 8)),
                unpack=_as_is,
                slot=slot,
            )
        )

    return adapter(script["stream"])(group, watermarks).serve(build, (folder / f"{slot}.ready").touch)


if __name__ == "__main__":
    sys.exit(main())
