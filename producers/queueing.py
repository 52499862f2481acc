"""When waiting pages have their turn: weighted round robin as a fluid, every tenant served at once by its share."""

from schemas.control import LaneLoad, LoadReport
from schemas.envelope import Lane
from schemas.jobs import QueuePlace
from schemas.ports import Backlog


def place(tenant: str, backlog: Backlog, report: LoadReport | None) -> QueuePlace:
    """Where a job stands while all that waits now is worked off and nothing new comes.

    Without a report only its own tenant's pages are known to stand before it; no time is told without a speed, and no
    end before the document's pages are counted.
    """
    if report is None:
        return QueuePlace(pages_ahead=backlog.ahead)
    ahead = released_before(tenant, backlog.lane, backlog.ahead, report)
    speed = report.pages_per_second
    if speed <= 0:
        return QueuePlace(pages_ahead=round(ahead))
    room = max(0, report.window - report.in_work)
    through = released_before(tenant, backlog.lane, backlog.ahead + backlog.pages, report)
    return QueuePlace(
        pages_ahead=round(ahead),
        starts_in_seconds=max(0.0, ahead - room) / speed,
        ends_in_seconds=(report.in_work + through) / speed if backlog.counted else None,
    )


def released_before(tenant: str, lane: Lane, pages: int, report: LoadReport) -> float:
    """How many pages of all are released by the time that `pages` of a tenant's lane are, these included.

    Interactive work goes first. In a lane each other tenant gets as many as its weight asks while these are released,
    but no more than it has.
    """
    first = sum(report.interactive.waiting.values()) if lane == "bulk" else 0
    load: LaneLoad = report.bulk if lane == "bulk" else report.interactive
    turns = pages / report.weights.get(tenant, 1.0)
    others = {name: waiting for name, waiting in load.waiting.items() if name != tenant}
    return first + pages + sum(min(count, turns * report.weights.get(name, 1.0)) for name, count in others.items())
