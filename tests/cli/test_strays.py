"""dlq strays against real tables: what is nobody's, and nothing else."""

import asyncio
import json

import pytest

from cli.errors import Exit
from schemas import topics
from sinks.dead_letters import DeadLetters
from sinks.projector import Projector
from tests.cli.invoking import failure, run
from tests.dead_letters import letters
from tests.sinks import events
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture(scope="module")
def kept(database: Database) -> dict[str, str]:
    """Letters by whose they are: bytes of nobody, a record of an unknown job, one of a tenant's job."""
    job = events.new_job()
    strange = letters.Outgoing(topics.OCR.name, b"\x00k", b"no \x1b[31mrecord", (("x", b"\xff"),))
    records = {
        "bytes": letters.letter(strange, "ocr", "no envelope", "unreadable"),
        "unknown": letters.rejected("chunk", events.new_job(), 1),
        "tenant": letters.rejected("ocr", job, 2),
    }

    async def stored() -> None:
        projector, sink = Projector(database.sink, NO_FAILPOINTS), DeadLetters(database.sink, NO_FAILPOINTS, len)
        await projector.write([events.submitted(job), events.prepared(job, 2)])
        await sink.write(letters.told(*records.values()))
        await projector.close()
        await sink.close()

    asyncio.run(stored())
    return {name: str(letters.id_of(record)) for name, record in records.items()}


def test_operators_see_what_is_no_tenants_and_nothing_else(database: Database, kept: dict[str, str]) -> None:
    listed = run("dlq", "strays", "list", "--json", HEADRACE_POSTGRES=database.sink)
    assert listed.exit_code == 0, listed.output
    assert {json.loads(line)["id"] for line in listed.stdout.splitlines()} == {kept["bytes"], kept["unknown"]}
    only = run("dlq", "strays", "list", "--step", "chunk", HEADRACE_POSTGRES=database.sink).stdout
    assert only.split("\t")[0] == kept["unknown"]
    tenants = run("dlq", "strays", "show", kept["tenant"], HEADRACE_POSTGRES=database.sink)
    assert "no such" in str(failure(tenants))


def test_bytes_are_shown_as_far_as_they_can_be_and_never_move_a_terminal(
    database: Database, kept: dict[str, str]
) -> None:
    shown = run("dlq", "strays", "show", kept["bytes"], HEADRACE_POSTGRES=database.sink).stdout
    assert "unreadable: no envelope" in shown
    assert "value (14 bytes): no  [31mrecord" in shown
    assert "x (1 bytes): \\xff" in shown
    told = json.loads(run("dlq", "strays", "show", kept["bytes"], "--json", HEADRACE_POSTGRES=database.sink).stdout)
    assert told["record"]["value"] == "no \x1b[31mrecord"


def test_strays_are_discarded_once_and_by_somebody(database: Database, kept: dict[str, str]) -> None:
    words = ("dlq", "strays", "discard", kept["unknown"], kept["tenant"])
    assert run(*words, HEADRACE_POSTGRES=database.sink, USER="ada").stderr == "1 discarded\n"
    assert run(*words, HEADRACE_POSTGRES=database.sink).stderr == "0 discarded\n"
    shown = run("dlq", "strays", "show", kept["unknown"], HEADRACE_POSTGRES=database.sink).stdout
    assert "discarded by ada" in shown
    assert kept["unknown"] not in run("dlq", "strays", "list", HEADRACE_POSTGRES=database.sink).stdout
    assert kept["unknown"] in run("dlq", "strays", "list", "--all", HEADRACE_POSTGRES=database.sink).stdout


def test_without_a_database_the_way_to_one_is_told(tmp_path: object) -> None:
    told = failure(run("dlq", "strays", "list", "--data-dir", tmp_path, HEADRACE_POSTGRES=""))
    assert (told.code, "HEADRACE_POSTGRES" in told.hint) == (Exit.UNREACHABLE, True)
