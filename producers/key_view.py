"""API keys and usage as they lie on `headrace.control`, at hand for an API process: no database is asked."""

import logging
import threading
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from producers.plan_view import PlanView
from schemas.broker import Broker
from schemas.keys import KeyEntry, control_key
from schemas.topics import CONTROL
from schemas.usage import Usage, usage_key

log = logging.getLogger(__name__)
ModelT = TypeVar("ModelT", bound=BaseModel)


class KeyView(PlanView):
    """`headrace.control` for an API process: its plans, each key's newest entry and each tenant's usage.

    What was read last holds while the log is away; a key that is revoked then goes on until the log is back.
    """

    def __init__(self, broker: Broker) -> None:
        super().__init__(CONTROL.name, broker)
        self._whole = threading.Event()
        self._read: dict[bytes, tuple[bytes, BaseModel | None]] = {}

    @property
    def whole(self) -> bool:
        """Whether all was read that stood there at the start: until then a key that is not known may be one."""
        return self._whole.is_set()

    def follow(self) -> None:
        """Begin to read."""
        self.start(self._whole.set)

    def key(self, identifier: str) -> KeyEntry | None:
        """The entry of a key, None where there is none that this release can read."""
        return self._newest(control_key(identifier), KeyEntry)

    def usage(self, tenant: str) -> Usage | None:
        """What was counted last of a tenant."""
        return self._newest(usage_key(tenant), Usage)

    def _newest(self, name: bytes, kind: type[ModelT]) -> ModelT | None:
        value = self.get(name)
        if value is None:
            self._read.pop(name, None)
            return None
        before = self._read.get(name)
        if before is None or before[0] is not value:
            before = self._read[name] = (value, _parsed(name, value, kind))
        return cast("ModelT | None", before[1])


def _parsed(name: bytes, value: bytes, kind: type[ModelT]) -> ModelT | None:
    try:
        return kind.model_validate_json(value)
    except ValidationError:
        log.warning("%s on %s cannot be read: it counts as not there", name.decode(errors="replace"), CONTROL.name)
        return None
