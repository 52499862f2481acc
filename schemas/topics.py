"""The map: every topic, what lies on it, how it is keyed, how long it stays, who reads it.

`headrace topics apply` makes the log look like this; workers refuse to start while it does not.
"""

from dataclasses import dataclass

from schemas.envelope import Lane

DAY = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `records` are payload names; `readers` are consumer groups, `*` for reading without one."""

    name: str
    partitions: int
    records: tuple[str, ...]
    key: str
    readers: tuple[str, ...]
    retention_ms: int = 7 * DAY
    compacted: bool = False

    def settings(self) -> dict[str, str]:
        """Kafka's topic configuration."""
        if self.compacted:  # the newest segment is never compacted: a small one keeps what is read at each start small
            return {"cleanup.policy": "compact", "segment.bytes": str(16 * 1024 * 1024)}
        return {"retention.ms": str(self.retention_ms)}


JOBS = Topic("headrace.jobs", 4, ("JobSubmitted",), "job", ("headrace.dispatcher", "headrace.projector"))
# Of the steps whose queue a caller would feel, interactive work has a topic of its own, which is read first.
PREPARE = Topic("headrace.prepare", 4, ("SliceReleased",), "job", ("headrace.prepare",))
PREPARE_INTERACTIVE = Topic("headrace.prepare-interactive", 4, ("SliceReleased",), "job", ("headrace.prepare",))
OCR = Topic("headrace.ocr", 8, ("PagePrepared",), "job, spread by page", ("headrace.ocr",))
OCR_INTERACTIVE = Topic("headrace.ocr-interactive", 8, ("PagePrepared",), "job, spread by page", ("headrace.ocr",))
CHUNK = Topic("headrace.chunk", 4, ("PageRead",), "job, spread by page", ("headrace.chunk",))
EMBED = Topic("headrace.embed", 4, ("PageChunked",), "job, spread by page", ("headrace.embed",))
VECTORS = Topic(
    "headrace.vectors", 4, ("ChunksEmbedded",), "job, spread by page",
    ("headrace.index-pgvector", "headrace.index-weaviate"),
)  # fmt: skip
EVENTS = Topic(
    "headrace.events", 4,
    ("DocumentPrepared", "PageRead", "ChunksIndexed", "PartFailed", "PartSkipped", "PagesReopened", "CancelRequested"),
    "job", ("headrace.projector",),
)  # fmt: skip
DOCUMENTS = Topic(
    "headrace.documents", 2, ("DocumentDropped", "JobErased"), "tenant/document",
    ("headrace.projector", "headrace.index-pgvector", "headrace.index-weaviate", "headrace.eraser"),
)  # fmt: skip
REDRIVES = Topic(
    "headrace.redrives",
    2,
    ("RedriveRequested", "DiscardRequested", "ResumeRequested"),
    "job or tenant",
    ("headrace.dispatcher",),
)
DELAYED = Topic(
    "headrace.delayed", 2, ("SliceReleased", "PagePrepared", "PageRead", "PageChunked", "ChunksEmbedded"),
    "the record's own", ("headrace.dispatcher",),
)  # fmt: skip
RESULTS = Topic(
    "headrace.results", 4, ("PageEnded", "JobEnded", "DocumentDeleted"), "job", ("headrace.webhooks", "*")
)  # fmt: skip
RELAY = Topic("headrace.relay", 1, ("RelayPosition",), "outbox shard", ("*",), compacted=True)
CONTROL = Topic(
    "headrace.control", 1, ("ControlEntry", "StepOrder", "Plan", "KeyEntry", "Usage"),
    "job, step:NAME, plan:HASH, key:ID or usage:TENANT", ("*",), compacted=True,
)  # fmt: skip
LOAD = Topic("headrace.load", 1, ("LoadReport",), "dispatcher", ("*",), compacted=True)
ATTEMPTS = Topic("headrace.attempts", 1, ("AttemptsMarked",), "group, topic, partition, offset", ("*",), compacted=True)
DEAD_LETTERS = Topic(
    "headrace.dead-letters", 1, (), "the record's own", ("headrace.dead-letters",), retention_ms=30 * DAY
)

TOPICS: tuple[Topic, ...] = (
    JOBS, PREPARE, PREPARE_INTERACTIVE, OCR, OCR_INTERACTIVE, CHUNK, EMBED, VECTORS, EVENTS, DOCUMENTS, REDRIVES,
    DELAYED, RESULTS, RELAY, CONTROL, LOAD, ATTEMPTS, DEAD_LETTERS,
)  # fmt: skip
OPTIONAL_GROUPS = frozenset({"headrace.index-weaviate"})
"""Groups that not every installation runs: one that has never committed is not behind."""
GROUPS: dict[str, tuple[str, ...]] = {
    group: tuple(topic.name for topic in TOPICS if group in topic.readers)
    for group in sorted({reader for topic in TOPICS for reader in topic.readers if reader != "*"})
}

SUCCEEDS: dict[str, tuple[str, str]] = {"headrace.dispatcher": ("headrace.jobs", "headrace.prepare")}
"""A group that reads what another group read in the release before: its topic, and the other's name."""


FIRST: dict[str, Topic] = {PREPARE.name: PREPARE_INTERACTIVE, OCR.name: OCR_INTERACTIVE}
"""The topic of interactive work beside a step's own."""
FIRST_TOPICS = frozenset(topic.name for topic in FIRST.values())
"""Topics of the first class: who reads one beside another takes from it first."""


def of_lane(topic: Topic, lane: Lane) -> Topic:
    """Where work of a lane goes to be done by the step that reads `topic`."""
    return FIRST.get(topic.name, topic) if lane == "interactive" else topic


def tenant_results(tenant: str) -> Topic:
    """A tenant's own copy of its events on `headrace.results`, where the setting `tenant_topics` names the tenant."""
    return Topic(f"{RESULTS.name}.{tenant}", 2, RESULTS.records, "job", ("*",))
