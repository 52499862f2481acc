"""chunk: a page's lines become passages."""

from collections.abc import Iterator, Sequence

from processors.steps.answers import answer_each
from schemas.codec import follow, page_spread
from schemas.documents import Chunk as Passage
from schemas.documents import Line, PageChunked, PageRead
from schemas.plans import PLANS
from schemas.records import Outgoing
from schemas.topics import EMBED
from schemas.work import Answer, Task


def passages(lines: Sequence[Line], most: int) -> tuple[Passage, ...]:
    """Lines joined, in order, to passages of at most `most` characters, each with the box around its lines.

    A line is never cut: one that is longer than `most` is a passage of its own.
    """
    return tuple(
        Passage(
            index=index,
            text="\n".join(line.text for line in group),
            box=(
                min(line.box[0] for line in group),
                min(line.box[1] for line in group),
                max(line.box[2] for line in group),
                max(line.box[3] for line in group),
            ),
        )
        for index, group in enumerate(_groups(lines, most))
    )


def _groups(lines: Sequence[Line], most: int) -> Iterator[list[Line]]:
    group: list[Line] = []
    length = 0
    for line in lines:
        if group and length + 1 + len(line.text) > most:
            yield group
            group = []
        length = length + 1 + len(line.text) if group else len(line.text)
        group.append(line)
    if group:
        yield group


class Chunk:
    """`PageRead` to `PageChunked`."""

    name = "chunk"

    def load(self) -> None:
        """Nothing to load."""

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """One answer a task."""
        return answer_each(tasks, self._chunk)

    def _chunk(self, task: Task) -> Sequence[Outgoing]:
        page, plan = task.payload, PLANS[task.envelope.plan]
        assert isinstance(page, PageRead)
        chunks = passages(page.lines, plan.options(self.name)["max_characters"])
        chunked = PageChunked(width=page.width, height=page.height, chunks=chunks)
        digests = (plan.digest(self.name), "")
        spread = page_spread(task.envelope.job, task.envelope.part)
        return [follow(EMBED.name, task.envelope, self.name, chunked, digests=digests, spread=spread)]
