"""What is released when, against real PostgreSQL and the real projector."""

from datetime import UTC, datetime, timedelta

import pytest

from producers.round_robin import Chosen
from schemas import topics
from schemas.documents import PartSkipped
from schemas.errors import DependencyDown, LogUnavailable
from tests.dispatcher.worlds import World
from tests.sinks.events import cancel, failed


async def test_a_lone_job_goes_to_prepare_at_once_with_half_the_window_of_pages(world: World) -> None:
    job = world.submitted("job_a")
    await world.submit(job)
    ((name, first, last, lane),) = await world.slices()
    assert (name, first, lane) == ("job_a", 1, "interactive")
    assert 1 <= last <= 32
    assert await world.slices() == []


async def test_a_document_is_released_page_after_page_as_far_as_the_window_goes_until_all_is_done(world: World) -> None:
    job = world.submitted("job_a", lane="bulk")
    await world.submit(job)
    ((_, _, last, _),) = await world.slices()
    assert await world.slices() == [], "not counted yet"
    await world.counted(job, 10)
    released, done = last, 0
    while done < 10:
        for _, first, last, _ in await world.slices():
            assert first == released + 1
            released = last
        assert released - done <= 4, "the window's floor"
        await world.done(job, done + 1)
        done += 1
    assert released == 10
    await world.turn()
    assert [await world.count(table) for table in ("waiting_jobs", "waiting_slices", "released_jobs")] == [0, 0, 0]


async def test_who_comes_with_little_goes_before_who_has_much_in_the_bulk_lane_too(world: World) -> None:
    many = [world.submitted(f"job_a{n:02d}", tenant="a", lane="bulk") for n in range(20)]
    await world.submit(*many)
    assert len(await world.slices()) == 4
    assert await world.slices() == [], "the window is full"
    await world.submit(world.submitted("job_b", tenant="b", lane="bulk"))
    ((name, first, _, lane),) = await world.slices()
    assert (name, first, lane) == ("job_b", 1, "interactive")


async def test_tenants_who_have_much_take_turns(world: World) -> None:
    tasks = {}
    for tenant in "ab":
        for n in range(20):
            task = world.submitted(f"job_{tenant}{n:02d}", tenant=tenant, lane="bulk")
            tasks[task.envelope.job] = task
    await world.submit(*tasks.values())
    released: list[str] = []
    while len(released) < 40:
        names = [name for name, *_ in await world.slices()]
        assert names
        released += names
        assert abs(sum(name.startswith("job_a") for name in released) * 2 - len(released)) <= 4
        for name in names:
            await world.counted(tasks[name], 1)
            await world.done(tasks[name], 1)


async def test_interactive_work_does_not_wait_for_bulk_work(world: World) -> None:
    await world.submit(*(world.submitted(f"job_a{n}", tenant="a", lane="bulk") for n in range(9)))
    await world.slices()
    await world.submit(world.submitted("job_b", tenant="b"))
    assert [(name, lane) for name, _, _, lane in await world.slices()] == [("job_b", "interactive")]


async def test_interactive_jobs_beyond_the_allowance_wait_in_the_bulk_lane(world: World) -> None:
    await world.submit(*(world.submitted(f"job_{n:03d}") for n in range(70)))
    counts = await world.backlog.counts()
    assert (counts.pages["interactive"]["demo"], counts.pages["bulk"]["demo"]) == (64, 6)
    assert (counts.uncounted["interactive"]["demo"], counts.uncounted["bulk"]["demo"]) == (64, 6)


async def test_a_submission_that_is_read_again_is_not_released_again(world: World) -> None:
    job = world.submitted("job_a")
    await world.submit(job)
    await world.slices()
    await world.counted(job, 1)
    await world.done(job, 1)
    await world.turn()
    await world.waiting.write([job])
    assert await world.count("waiting_jobs") == 0


async def test_a_text_document_whose_pages_all_went_on_is_not_released_further(world: World) -> None:
    job = world.submitted("job_a", lane="bulk")
    await world.submit(job)
    await world.slices()
    await world.counted(job, 500, whole=True)
    assert await world.slices() == []
    assert await world.count("waiting_jobs") == 0


async def test_waiting_jobs_are_cancelled_and_expire_without_being_worked_on(world: World) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    full = [world.submitted(f"job_{n}", lane="bulk") for n in range(5)]
    late = world.submitted("job_late", lane="bulk", deadline=past)
    await world.submit(*full)
    await world.slices()
    await world.submit(late)
    order = cancel("job_4")
    await world.projector.write([order])
    ended = {}
    for task in await world.turn():
        assert isinstance(task.payload, PartSkipped)
        assert task.envelope.part == 0
        ended[task.envelope.job] = task.payload.reason
        await world.projector.write([task])
    assert ended == {"job_late": "expired", "job_4": "cancelled"}
    assert await world.turn() == []


async def test_a_document_that_fails_leaves_nothing_behind(world: World) -> None:
    job = world.submitted("job_a", lane="bulk")
    await world.submit(job)
    await world.slices()
    await world.counted(job, 100)
    await world.slices()
    await world.projector.write([failed("job_a", 0)])
    assert await world.slices() == []
    assert [await world.count(table) for table in ("waiting_jobs", "released_jobs")] == [0, 0]


async def test_what_another_leader_released_meanwhile_is_left_out(world: World) -> None:
    await world.submit(world.submitted("job_a"))
    (offer,) = await world.backlog.offers(64)
    chosen = [Chosen(offer, "bulk", 2)]
    released = await world.backlog.decide(chosen)
    assert [release.name for release in released] == [("slice", "job_a", "1", "1")]
    await world.backlog.forget(released)
    assert await world.backlog.decide(chosen) == []
    (working,) = await world.backlog.working()
    assert working.released == {"interactive": 0, "bulk": 2}


async def test_what_was_decided_and_not_published_is_published_by_the_next_one_under_the_same_ids(world: World) -> None:
    await world.submit(*(world.submitted(f"job_{n}", tenant=f"t{n}", lane="bulk") for n in range(3)))
    world.publisher.down = True
    with pytest.raises(LogUnavailable):
        await world.dispatcher.turn()
    decided = await world.count("waiting_slices")
    assert decided > 0
    world.publisher.down = False
    world.dispatcher = world.another()
    released = await world.turn()
    assert len({task.envelope.id for task in released}) == len(released) >= decided
    assert await world.count("waiting_slices") == 0


async def test_what_was_published_and_not_forgotten_is_published_once_more_under_the_same_ids(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.submit(world.submitted("job_a"))

    async def dies(_: object) -> None:
        raise DependencyDown("gone")

    monkeypatch.setattr(world.backlog, "forget", dies)
    with pytest.raises(DependencyDown):
        await world.dispatcher.turn()
    monkeypatch.undo()
    first = [record for record in world.publisher.published if record.topic == topics.PREPARE_INTERACTIVE.name]
    world.dispatcher = world.another()
    (again,) = await world.turn()
    assert [dict(record.headers)["ce_id"].decode() for record in first] == [str(again.envelope.id)]
    assert await world.turn() == []
