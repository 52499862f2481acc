"""prepare: a document becomes page pictures."""

from collections.abc import Callable, Sequence

from processors.decoding.decoder import Decoder, Picture
from processors.decoding.limits import Limits
from processors.steps.answers import answer_each
from schemas.codec import follow, page_spread
from schemas.documents import DocumentPrepared, JobSubmitted, PagePrepared
from schemas.envelope import Envelope
from schemas.media import PNG, media_type
from schemas.plans import PLANS
from schemas.ports import BlobStore
from schemas.records import Outgoing
from schemas.settings import Settings
from schemas.topics import EVENTS, OCR
from schemas.work import Answer, Task


class Prepare:
    """`JobSubmitted` to one `PagePrepared` a page and one `DocumentPrepared`; pictures go to the blob store.

    `on_death` is called for each decoding child that died.
    """

    name = "prepare"

    def __init__(self, blobs: BlobStore, settings: Settings, on_death: Callable[[], None] = lambda: None) -> None:
        self._blobs = blobs
        self._decoder = Decoder(Limits.of(settings), on_death)

    def load(self) -> None:
        """Start the decoding child; raises `DependencyDown` when it does not come up."""
        self._decoder.start()

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """One answer a task; raises `DependencyDown` when the blob store does not answer."""
        return answer_each(tasks, self._prepare)

    def close(self) -> None:
        """End the decoding child."""
        self._decoder.close()

    def _prepare(self, task: Task) -> Sequence[Outgoing]:
        assert isinstance(task.payload, JobSubmitted)
        envelope, plan = task.envelope, PLANS[task.envelope.plan]
        digests = (plan.digest(self.name), "")
        content = self._blobs.read(task.payload.source)
        media = media_type(content)
        pictures = self._decoder.pages(content, media, plan.options(self.name)["dpi"])
        pages = [self._put(envelope, picture, digests) for picture in pictures]
        prepared = DocumentPrepared(pages=len(pages), media_type=media)
        return [follow(EVENTS.name, envelope, self.name, prepared, digests=digests), *pages]

    def _put(self, envelope: Envelope, picture: Picture, digests: tuple[str, str]) -> Outgoing:
        page = picture.number
        key = f"{envelope.tenant}/{envelope.job}/pages/{envelope.run}/{page:05d}.png"
        image = self._blobs.put(key, picture.png)
        prepared = PagePrepared(image=image, width=picture.width, height=picture.height, media_type=PNG)
        spread = page_spread(envelope.job, page)
        return follow(OCR.name, envelope, self.name, prepared, part=page, digests=digests, spread=spread)
