"""chunk: a page's blocks become passages."""

from collections.abc import Sequence

from processors.engines import language
from processors.steps.answers import answer_each
from processors.steps.boxes import union
from processors.steps.passages import passages
from schemas.codec import follow, page_spread
from schemas.documents import Chunk as Passage
from schemas.documents import PageChunked, PageRead
from schemas.plans import PLANS
from schemas.records import Outgoing
from schemas.topics import EMBED
from schemas.work import Answer, Task


def chunks(page: PageRead, most: int) -> tuple[Passage, ...]:
    """The page's passages of at most `most` characters, each with its boxes, as far as the page has any, and language.

    Heads and feet of the page are passages of their own: a search finds what stands in a letterhead, and no other
    passage means less for their being in it.
    """
    return tuple(
        Passage(
            index=index,
            text=passage.text,
            box=union(passage.boxes) if passage.boxes else None,
            boxes=passage.boxes,
            language=language.language_of(passage.text),
        )
        for index, passage in enumerate(passages(page, most))
    )


class Chunk:
    """`PageRead` to `PageChunked`."""

    name = "chunk"

    def load(self) -> None:
        """Load the language classifier."""
        language.load()

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """One answer a task."""
        return answer_each(tasks, self._chunk)

    def _chunk(self, task: Task) -> Sequence[Outgoing]:
        page, plan = task.payload, PLANS[task.envelope.plan]
        assert isinstance(page, PageRead)
        found = chunks(page, plan.options(self.name)["max_characters"])
        chunked = PageChunked(width=page.width, height=page.height, chunks=found)
        digests = (plan.digest(self.name), "")
        spread = page_spread(task.envelope.job, task.envelope.part)
        return [follow(EMBED.name, task.envelope, self.name, chunked, digests=digests, spread=spread)]
