"""A worker whose event loop stands still for a minute once the file that BLOCK_FILE names is there: a bug, made."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from processors import worker
from processors.handlers import StepHandler
from schemas.work import Answer, Task

_handle = StepHandler.handle


def _stand_still(order: Path) -> None:
    if order.exists():
        order.unlink()
        time.sleep(60)


async def _blocked(self: StepHandler, tasks: Sequence[Task]) -> Sequence[Answer]:
    _stand_still(Path(os.environ["BLOCK_FILE"]))
    return await _handle(self, tasks)


if __name__ == "__main__":
    StepHandler.handle = _blocked  # type: ignore[method-assign]
    sys.exit(worker.main())
