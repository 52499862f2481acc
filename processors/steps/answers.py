"""How a step answers task by task."""

from collections.abc import Callable, Sequence

from schemas.errors import DependencyDown, HeadraceError
from schemas.records import Outgoing
from schemas.work import Answer, Task


def answer_each(tasks: Sequence[Task], work: Callable[[Task], Sequence[Outgoing]]) -> list[Answer]:
    """What `work` makes of each task, or the error that it came to.

    Raises `DependencyDown` for the batch: what is down for one task is down for all.
    """
    return [_answer(task, work) for task in tasks]


def _answer(task: Task, work: Callable[[Task], Sequence[Outgoing]]) -> Answer:
    try:
        return work(task)
    except DependencyDown:
        raise
    except HeadraceError as error:
        return error
