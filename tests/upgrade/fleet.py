"""The processes of one installation, each started, ended and replaced by hand, each of the release that is asked."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg

from deploy.local import children
from deploy.local.layout import Layout
from deploy.local.slots import STOP_ORDER, Slot
from deploy.local.stack import Given, Stack
from schemas.jobs import TERMINAL, JobState
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS
from tests.faults.history import History, collect
from tests.support import behind, read, until
from tests.upgrade.releases import THIS, Release

GRACE = 30.0


class Fleet:
    """Kafka and PostgreSQL with nothing on them, and the slots of an embedded stack, all empty at first.

    Ends everything with the `with` block. Use it from the main thread only.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], *, ocr_workers: int = 2) -> None:
        self.folder = folder
        self._settings = settings
        self._layout = Layout(folder.absolute())
        self._layout.make()
        (self._layout.run / "failpoints").mkdir(exist_ok=True)
        self._stack = Stack(self._layout, Given(None, None, None, None, ocr_workers), None)
        self._running: dict[str, tuple[Slot, subprocess.Popen[bytes]]] = {}

    def __enter__(self) -> "Fleet":
        try:
            for slot in self._stack.servers():
                self._spawn(slot, {})
            for name, (slot, _) in self._running.items():
                assert slot.probe is not None
                until(slot.probe, 60, f"{name} to answer")
            self.slots = {slot.name: slot for slot in self._stack.members()}
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for group in STOP_ORDER:
            found = [(slot, child) for slot, child in self._running.values() if slot.group == group]
            if found:
                children.end([child for _, child in found], stop_signal=found[0][0].stop_signal)
        self._stack.close()

    @property
    def url(self) -> str:
        """Where all API processes answer."""
        return self._stack.url

    @property
    def session_seconds(self) -> float:
        """How long a process that ended stays a member of its group, and a little."""
        return Settings().session_seconds + 1.0

    @property
    def kafka(self) -> str:
        """The broker's bootstrap address."""
        return self._stack.broker.bootstrap

    @property
    def admin_url(self) -> str:
        """The database owner's URL."""
        return self._stack.admin_url

    def headers(self, tenant: str = "demo") -> dict[str, str]:
        """What a request of that tenant carries."""
        return {"Authorization": f"Bearer {self._stack.secrets.api_keys[tenant]}"}

    def log(self, name: str) -> str:
        """What a slot's processes have said."""
        return self._layout.log(name).read_text(errors="replace")

    def prepare(self, release: Release = THIS) -> None:
        """Database and topics as the release wants them: what its operator runs first, whatever else is running."""
        passwords = self._stack.secrets.passwords
        told = {
            "HEADRACE_POSTGRES_ADMIN": self.admin_url, "HEADRACE_KAFKA": self.kafka, "HEADRACE_DEV": "true",
            **{f"HEADRACE_POSTGRES_{role.removeprefix('headrace_').upper()}_PASSWORD": password
               for role, password in passwords.items()},
        }  # fmt: skip
        for verb in (("migrate",), ("topics", "apply")):
            env = {**os.environ, **self._settings, **told, **release.environment()}
            done = subprocess.run(release.argv("cli.main", *verb), env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr

    def start(self, *names: str, release: Release = THIS, wait: bool = True) -> None:
        """Fill slots; return once their processes work."""
        for name in names:
            self._layout.ready(name).unlink(missing_ok=True)
            slot = self.slots[name]
            module = slot.argv[slot.argv.index("-m") + 1 :]
            with contextlib.chdir(release.code):  # the last release's decoder is looked for where its worker stands
                self._spawn(slot, release.environment(), release.argv(*module))
        for name in names if wait else ():
            until(lambda name=name: self._ready(name), 60, f"{name} to work: {children.tail(self._layout.log(name))}")

    def stop(self, *names: str) -> dict[str, int]:
        """SIGTERM, and wait for each; their exit statuses."""
        ended = {name: self._running.pop(name)[1] for name in names}
        for child in ended.values():
            child.send_signal(signal.SIGTERM)
        return {name: child.wait(GRACE) for name, child in ended.items()}

    def kill(self, name: str) -> None:
        """End a slot's process without a word."""
        _, child = self._running.pop(name)
        child.kill()
        child.wait()

    def replace(self, name: str, release: Release = THIS, *, rest: float = 0.0) -> None:
        """End a slot's process and, after `rest` seconds, start one of the release; return once that works."""
        assert self.stop(name)[name] in (0, -signal.SIGTERM), self.log(name)[-2000:]  # uvicorn ends by the signal
        time.sleep(rest)
        self.start(name, release=release)

    def ended(self, jobs: Collection[str]) -> bool:
        """Whether every one of the jobs came to an end."""
        states = dict(self._rows("select id, state from jobs"))
        return all(JobState(states.get(job, "queued")) in TERMINAL for job in jobs)

    def known(self, jobs: Collection[str]) -> bool:
        """Whether the projector has heard of every one of the jobs."""
        return set(jobs) <= {row["id"] for row in self._rows("select id from jobs")}

    def pages(self) -> int:
        """How many pages have a result."""
        return int(self._rows("select count(*) from results")[0][0])

    def dead_letters(self) -> int:
        """How many records were rejected."""
        return len(read(self._stack.broker, DEAD_LETTERS.name))

    def behind(self, groups: Collection[str]) -> dict[str, int]:
        """Of these groups (of all, where none is named) those with records that wait, and how many."""
        waiting = behind(self._stack.broker)
        return {group: lag for group, lag in waiting.items() if not groups or group in groups}

    async def history(self) -> History:
        """What lies everywhere now."""
        return await collect(self._stack.broker, self.admin_url, None, self._layout.run)

    def _rows(self, query: str) -> list[Any]:
        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self.admin_url)
            try:
                return list(await connection.fetch(query))
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def _spawn(self, slot: Slot, of_release: Mapping[str, str], argv: tuple[str, ...] = ()) -> None:
        env = {**os.environ, **(slot.env or {}), **self._settings, **of_release}
        child = children.spawn(
            argv or slot.argv, log=self._layout.log(slot.name), env=env, pass_fds=slot.pass_fds,
            death_signal=slot.death_signal,
        )  # fmt: skip
        self._running[slot.name] = (slot, child)

    def _ready(self, name: str) -> bool:
        _, child = self._running[name]
        assert child.poll() is None, f"{name} ended with {child.returncode}: {self.log(name)[-2000:]}"
        try:
            mark = json.loads(self._layout.ready(name).read_text())
        except FileNotFoundError:
            return False
        return bool(mark["pid"] == child.pid)


@cache
def of_release(release: Release) -> list[str]:
    """The slots that a release has, as its own stack would fill them."""
    code = (
        "from deploy.local import stack as s;"
        "print(*s.APIS, 'prepare-1', 'ocr-1', 'ocr-2', 'chunk-1', 'embed-1', *(f'{n}-1' for n in s.SINKS))"
    )
    env = {**os.environ, **release.environment()}
    argv = [str(release.python), "-P", "-c", code]
    return subprocess.run(argv, env=env, check=True, capture_output=True, text=True).stdout.split()
