"""The standing orders, as every worker has them at hand."""

from datetime import UTC, datetime

from pydantic import ValidationError

from producers.plan_view import PlanView
from schemas.control import ControlEntry, StepOrder, step_key


class ControlView(PlanView):
    """`headrace.control`: the standing orders, and plans."""

    def cancelled(self, job: str, run: int) -> bool:
        """Whether an order to cancel this run of the job stands and has not lapsed."""
        value = self.get(job.encode())
        if value is None:
            return False
        try:
            entry = ControlEntry.model_validate_json(value)
        except ValidationError:  # a newer release's order: not one of ours to follow
            return False
        stands = entry.until is None or entry.until > datetime.now(UTC)
        return entry.action == "cancel" and run <= entry.run and stands

    def order(self, step: str) -> StepOrder | None:
        """The newest order about a step."""
        value = self.get(step_key(step))
        if value is None:
            return None
        try:
            return StepOrder.model_validate_json(value)
        except ValidationError:
            return None
