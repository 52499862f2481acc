"""What the dispatcher reports of the load, as every process has it at hand."""

from pydantic import ValidationError

from producers.compacted_view import CompactedView
from schemas.broker import Broker
from schemas.control import LoadReport
from schemas.topics import LOAD

KEY = b"dispatcher"


class LoadView(CompactedView):
    """`headrace.load`, from its newest report on."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(LOAD.name, broker, last=1)
        self._read: tuple[bytes | None, LoadReport | None] = (None, None)

    def report(self) -> LoadReport | None:
        """The newest report, however old; None where there is none that this release can read."""
        value = self.get(KEY)
        if value != self._read[0]:
            self._read = (value, _parsed(value))
        return self._read[1]


def _parsed(value: bytes | None) -> LoadReport | None:
    try:
        return None if value is None else LoadReport.model_validate_json(value)
    except ValidationError:
        return None
