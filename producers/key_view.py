"""The API keys that lie on `headrace.control`, as an API process has them at hand: no database is asked."""

import logging
import threading

from pydantic import ValidationError

from producers.plan_view import PlanView
from schemas.broker import Broker
from schemas.keys import KeyEntry, control_key
from schemas.topics import CONTROL

log = logging.getLogger(__name__)


class KeyView(PlanView):
    """`headrace.control` for an API process: its plans, and each key's newest entry.

    What was read last holds while the log is away; a key that is revoked then goes on until the log is back.
    """

    def __init__(self, broker: Broker) -> None:
        super().__init__(CONTROL.name, broker)
        self._whole = threading.Event()
        self._read: dict[str, tuple[bytes, KeyEntry | None]] = {}

    @property
    def whole(self) -> bool:
        """Whether all was read that stood there at the start: until then a key that is not known may be one."""
        return self._whole.is_set()

    def follow(self) -> None:
        """Begin to read."""
        self.start(self._whole.set)

    def key(self, identifier: str) -> KeyEntry | None:
        """The entry of a key, None where there is none that this release can read."""
        value = self.get(control_key(identifier))
        if value is None:
            self._read.pop(identifier, None)
            return None
        before = self._read.get(identifier)
        if before is None or before[0] is not value:
            before = self._read[identifier] = (value, _parsed(identifier, value))
        return before[1]


def _parsed(identifier: str, value: bytes) -> KeyEntry | None:
    try:
        return KeyEntry.model_validate_json(value)
    except ValidationError:
        log.warning("the entry of API key %s on %s cannot be read; nobody is let in with it", identifier, CONTROL.name)
        return None
