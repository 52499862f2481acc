"""Log lines of a worker: ours at INFO, libraries' at WARNING, and none of theirs said more than once in five seconds.

While Kafka is down, Faust and aiokafka say the same thing up to 159 times a second (measured).
"""

import logging
import sys
import time

LIBRARIES = ("aiokafka", "faust", "mode", "asyncio", "rapidocr", "RapidOCR")
QUIET_SECONDS = 5.0


class Repeats(logging.Filter):
    """Passes a line, then holds back those of the same template for a while and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the line; one that was held back is counted in the next of its kind."""
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        key = (record.name, str(record.msg))
        at, held = self._said.get(key, (-QUIET_SECONDS, 0))
        now = time.monotonic()
        if now - at < QUIET_SECONDS:
            self._said[key] = (at, held + 1)
            return False
        self._said[key] = (now, 0)
        if held:
            record.msg = f"{record.msg} [and {held} more like it]"
        return True


def set_up() -> None:
    """Write to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in (*LIBRARIES, "processors.stream.faust_stream"):  # Faust's services log under their subclass's module
        logging.getLogger(name).setLevel(logging.WARNING)
