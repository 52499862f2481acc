"""Which plan a job runs by: this server's own, or what its caller pins."""

from collections.abc import Iterable

from api.errors import FieldProblem, InvalidRequest
from api.parts import Parts
from schemas import plans
from schemas.control import plan_key
from schemas.plans import PLANS, Plan
from schemas.records import Outgoing
from schemas.topics import CONTROL


async def planned(pinned: str | None, model: str | None, parts: Parts) -> Plan:
    """The plan of that hash, or this server's, with another model where one is named; told to all before it is used.

    Raises `InvalidRequest` for a plan that is not known here or wants other indexes, `LogUnavailable`.
    """
    plan = plans.document(parts.settings.indexes)
    if pinned is not None:
        known = PLANS.get(pinned)
        if known is None:
            raise _wrong("this server knows no plan of that hash; a job's result names the one that it ran by")
        if set(known.indexes) != set(plan.indexes):
            raise _wrong(f"that plan fills {', '.join(known.indexes)}, this server {', '.join(plan.indexes)}")
        plan = known
    if model is not None:
        plan = plans.edited(plan, {"ocr": {"model": model}})
        await announce([plan], parts)
    return plan


async def announce(wanted: Iterable[Plan], parts: Parts) -> None:
    """Put plans that are new on the log, where every process that decodes records hears of them."""
    new = [plan for plan in wanted if plan.hash not in PLANS]
    packed = {plan.hash: plan.model_dump_json().encode() for plan in new}
    if packed:  # an empty publish would ask the log all the same
        await parts.publisher.publish([Outgoing(CONTROL.name, plan_key(name), value) for name, value in packed.items()])
    for name, value in packed.items():
        plans.learn(name, value)


def _wrong(detail: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(pointer="/plan", code="unknown_plan", detail=detail)])
