"""The sink `webhooks` put together: what takes messages in, and the courier beside it, in one process."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from importlib.metadata import version

from schemas.failpoints import Failpoints
from schemas.settings import Settings
from sinks.loops import Loop
from sinks.postgres.bell import Bell
from sinks.postgres.deliveries import Claimed, Deliveries
from sinks.postgres.engine import connect
from sinks.webhooks.courier import Courier, Parts
from sinks.webhooks.egress import egress
from sinks.webhooks.intake import Webhooks
from sinks.webhooks.signing import Signer, signer

_LEASE = 4.0
"""How long a delivery is one courier's, in times of the longest attempt: so long it waits when that one is killed."""


_HEADERS = {"content-type": "application/json", "user-agent": f"Headrace/{version('headrace-server')}"}


def signed(signs: Signer, claimed: Claimed, at: datetime) -> dict[str, str]:
    """The headers of an attempt; raises KeyError where the server lacks the key of one of the endpoint's secrets."""
    current = [(each.key, each.version) for each in claimed.secrets if each.good(at)]
    return _HEADERS | signs.headers(claimed.endpoint, current, claimed.message, at, claimed.body)


def open_webhooks(
    settings: Settings, failpoints: Failpoints, holding: Callable[[float], object], count: Callable[[str], object]
) -> Webhooks:
    """Both halves as settings ask; `holding` is called with 1 while nothing is delivered for want of PostgreSQL."""
    if not settings.id_keys:
        raise SystemExit("HEADRACE_ID_KEYS is not set: webhooks are signed with secrets derived from it")
    url, sends = settings.postgres.get_secret_value(), egress(settings)
    signs = signer({number: key.get_secret_value() for number, key in settings.id_keys.items()})
    lazy = connect(url, lazily=True)  # what a crash of PostgreSQL forgets is delivered again
    lease = _LEASE * settings.webhook_seconds
    book = Deliveries(lazy, lease_seconds=lease, longest_hours=settings.webhook_disable_hours)

    courier = Courier(
        Parts(
            book=book,
            session=sends.session,
            sign=partial(signed, signs),
            failpoints=failpoints,
            schedule=settings.webhook_schedule,
            seconds=settings.webhook_seconds,
            lease=lease,
            holding=holding,
            count=count,
        )
    )
    bell = Bell(url, {"headrace_webhooks": lambda _: courier.ring()}, "headrace-webhooks")
    loop = Loop("the courier", courier.run, bell)

    async def end() -> None:
        await loop.end()
        await sends.close()
        await lazy.dispose()

    return Webhooks(connect(url), failpoints, settings.public_url, begin=loop.begin, due=courier.ring, end=end)
