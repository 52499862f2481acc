"""The dispatcher's turns, its release loop and the relay made wrong."""

from tests.mutants.mutant import Mutant

FAIRNESS = "tests/simulation/test_fairness.py"
NEIGHBOURS = "tests/property/test_neighbours.py"
RELEASE = "tests/dispatcher/test_release.py"
_DISPATCHER = "producers/dispatcher.py"

MUTANTS = (
    Mutant(
        "the relay begins at the beginning",
        "I2",
        "producers/relay.py",
        "await self._outbox.begin(position)",
        "await self._outbox.begin(None)",
    ),
    Mutant(
        "the relay's position is one row behind",
        "I2",
        "producers/relay.py",
        "xid=place.xid, seq=place.seq)",
        "xid=place.xid, seq=place.seq - 1)",
    ),
    Mutant(
        "the position lies outside of the transaction",
        "I2",
        "producers/relay_log.py",
        "            self._producer.produce(RELAY.name, position.model_dump_json(), _SHARD, partition=0)\n",
        "",
        "tests/relay/test_position.py",
    ),
    Mutant(
        "the allowance is ignored",
        "fairness",
        "producers/lanes.py",
        'min(self._left[lane, tenant], most - held.get(("interactive", tenant), 0))',
        "1_000_000",
        FAIRNESS,
    ),
    Mutant(
        "a flood goes first for ever",
        "fairness",
        "producers/lanes.py",
        "self._left[lane, taken.offer.tenant] -= taken.pages",
        "self._left[lane, taken.offer.tenant] -= 0",
        NEIGHBOURS,
    ),
    Mutant(
        "who comes anew stands behind the flood",
        "fairness",
        "producers/lanes.py",
        "chosen += self._share_first(lane, waiting[lane], held, room, max(1, window // 2))",
        "chosen += ()",
        NEIGHBOURS,
    ),
    Mutant(
        "what a tenant got is not counted",
        "fairness",
        "producers/round_robin.py",
        "self._deficits[tenant] -= item.pages",
        "self._deficits[tenant] -= 0",
        FAIRNESS,
    ),
    Mutant(
        "the same tenant is first for ever",
        "fairness",
        "producers/round_robin.py",
        "self._ring.rotate(-1)",
        "self._ring.rotate(-1 if tenant not in left else 0)",
        FAIRNESS,
    ),
    Mutant(
        "a round gives by the room of the moment",
        "fairness",
        "producers/round_robin.py",
        "            self._served.clear()\n            self._quantum = quantum\n",
        "            self._served.clear()\n        self._quantum = quantum\n",
        FAIRNESS,
    ),
    Mutant(
        "who has no more room goes to the end",
        "fairness",
        "producers/round_robin.py",
        "if tenant not in left or self._deficits[tenant] < 1:",
        "if True:",
        FAIRNESS,
    ),
    Mutant(
        "interactive work stops bulk work",
        "fairness",
        "producers/lanes.py",
        "reserve = max(1, window // RESERVE) if by_turns else 0",
        "reserve = 0",
        FAIRNESS,
    ),
    Mutant(
        "the window is not looked at",
        "window",
        "producers/lanes.py",
        'room = max(0, window - total, reserve - in_work["bulk"])',
        "room = max(0, window)",
        FAIRNESS,
    ),
    Mutant(
        "slices are forgotten before they are published",
        "I1",
        _DISPATCHER,
        "        await self._parts.publisher.publish([record for release in releases for record in release.records])\n",
        "        await self._backlog.forget(releases)\n"
        "        await self._parts.publisher.publish([record for release in releases for record in release.records])\n",
    ),
    Mutant(
        "what was decided is not published again",
        "I1",
        _DISPATCHER,
        "        await self._publish(await self._backlog.unconfirmed())\n",
        "",
    ),
    Mutant(
        "what is cancelled or too late while it waits is worked on",
        "cancel",
        _DISPATCHER,
        "        await self._publish(await self._backlog.stopped())\n",
        "",
        f"{RELEASE}::test_waiting_jobs_are_cancelled_and_expire_without_being_worked_on",
    ),
)
