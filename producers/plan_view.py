"""The plans that lie on `headrace.control`, learnt as they are heard of."""

from producers.compacted_view import CompactedView
from schemas import plans

_PREFIX = b"plan:"


class PlanView(CompactedView):
    """`headrace.control` for a process that decodes records: each plan on it is known to `schemas.plans` at once."""

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is not None and key.startswith(_PREFIX):
            plans.learn(key.removeprefix(_PREFIX).decode(errors="replace"), value)
        super()._put(key, value)
