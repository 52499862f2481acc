"""When waiting pages have their turn: weighted round robin as a fluid, every tenant served at once by its share."""

from schemas.control import LaneLoad, LoadReport
from schemas.envelope import Lane
from schemas.jobs import QueuePlace
from schemas.ports import Backlog


def place(tenant: str, backlog: Backlog, report: LoadReport | None) -> QueuePlace:
    """Where a job stands while all that waits now is worked off and nothing new comes.

    Documents that are not counted are expected to be as long as those of their tenant that were counted last. Without a
    report only its own tenant's pages are known to stand before it; no time is told without a speed.
    """
    if report is None:
        return QueuePlace(pages_ahead=backlog.ahead)
    length = report.pages_per_document.get(tenant, 1.0)
    own_before = backlog.ahead + backlog.uncounted_ahead * (length - 1)
    own_through = own_before + (backlog.pages if backlog.counted else length)
    ahead = released_before(tenant, backlog.lane, own_before, report)
    speed = report.pages_per_second
    if speed <= 0:
        return QueuePlace(pages_ahead=round(ahead))
    room = max(0, report.window - report.in_work)
    through = released_before(tenant, backlog.lane, own_through, report)
    return QueuePlace(
        pages_ahead=round(ahead),
        starts_in_seconds=max(0.0, ahead - room) / speed,
        ends_in_seconds=(report.in_work + through) / speed,
    )


def released_before(tenant: str, lane: Lane, pages: float, report: LoadReport) -> float:
    """How many pages of all are released by the time that `pages` of a tenant's lane are, these included.

    A tenant's interactive work goes before its bulk. Each other tenant gets as many as its weight asks while these are
    released, but no more than it has; bulk only beside bulk. The pages that go first of who comes anew are left out.
    """
    others = _expected(report.interactive, report)
    own = pages + (others.pop(tenant, 0.0) if lane == "bulk" else 0.0)
    if lane == "bulk":
        for name, count in _expected(report.bulk, report).items():
            others[name] = others.get(name, 0.0) + count
    others.pop(tenant, None)
    turns = own / report.weights.get(tenant, 1.0)
    return own + sum(min(count, turns * report.weights.get(name, 1.0)) for name, count in others.items())


def _expected(load: LaneLoad, report: LoadReport) -> dict[str, float]:
    """Pages that wait, by tenant."""
    pages: dict[str, float] = dict(load.waiting)
    for tenant, documents in load.uncounted.items():
        more = documents * (report.pages_per_document.get(tenant, 1.0) - 1)
        pages[tenant] = pages.get(tenant, 0.0) + more
    return pages
