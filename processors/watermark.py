"""The watermark table: which offset of each partition may be committed.

An offset is committable when it and every lower offset that this process was handed since the partition's assignment
is finished. Handed records are entered before anything else sees them, and only `finish` removes them, so a record
that is dropped, forgotten or still running holds the watermark back: it is read again, never lost. Faust's own
bookkeeping skips gaps and keeps its un-acked records in a WeakSet, and loses records by both.
"""

import heapq
from dataclasses import dataclass, field

from schemas.records import Partition, Record


@dataclass(slots=True)
class _Track:
    epoch: int
    open: set[int] = field(default_factory=set)
    order: list[int] = field(default_factory=list)  # a heap of every open offset, with finished ones not yet popped
    highest: int = -1
    committed: int = -1


class Watermarks:
    """One process's table. Not thread-safe: it lives on the event loop."""

    def __init__(self) -> None:
        self._tracks: dict[Partition, _Track] = {}
        self._epochs: dict[Partition, int] = {}
        self._handed = 0

    def assign(self, partition: Partition) -> int:
        """Begin a new epoch of a partition and return it; nothing of an earlier one counts any more."""
        epoch = self._epochs.get(partition, 0) + 1
        self._epochs[partition] = epoch
        self._tracks[partition] = _Track(epoch)
        return epoch

    def revoke(self, partition: Partition) -> None:
        """Forget a partition: what is still running on it can finish, but commits nothing."""
        self._tracks.pop(partition, None)

    def partitions(self) -> list[Partition]:
        """What is assigned now."""
        return list(self._tracks)

    def epoch(self, partition: Partition) -> int | None:
        """The current epoch of a partition, None where it is not assigned."""
        track = self._tracks.get(partition)
        return None if track is None else track.epoch

    def track(self, partition: Partition, offset: int) -> None:
        """Enter a record as handed over; one that was handed over before keeps its state. The partition is assigned."""
        track = self._tracks[partition]
        if offset > track.highest:
            self._handed += 1
            track.highest = offset
            track.open.add(offset)
            heapq.heappush(track.order, offset)

    def is_open(self, record: Record) -> bool:
        """Whether the record is ours to finish."""
        track = self._tracks.get(record.partition)
        return track is not None and track.epoch == record.epoch and record.offset in track.open

    def finish(self, record: Record) -> bool:
        """Let a record's offset pass; False where its partition has gone to another epoch since."""
        if not self.is_open(record):
            return False
        self._tracks[record.partition].open.discard(record.offset)
        return True

    def beyond(self, record: Record) -> int:
        """How many offsets beyond a record's own were reached: that much would be read again."""
        track = self._tracks.get(record.partition)
        return 0 if track is None else max(0, track.highest - record.offset)

    def handed(self) -> int:
        """Records handed over so far, of all partitions and epochs."""
        return self._handed

    def open_records(self) -> int:
        """Records handed over and not finished."""
        return sum(len(track.open) for track in self._tracks.values())

    def committable(self) -> dict[Partition, int]:
        """The next offset to read of each partition that has moved since its last commit."""
        found = {}
        for partition, track in self._tracks.items():
            while track.order and track.order[0] not in track.open:
                heapq.heappop(track.order)
            following = track.order[0] if track.order else track.highest + 1
            if track.highest >= 0 and following > max(track.committed, 0):
                found[partition] = following
        return found

    def committed(self, offsets: dict[Partition, int]) -> None:
        """Note what the broker has confirmed."""
        for partition, offset in offsets.items():
            if (track := self._tracks.get(partition)) is not None:
                track.committed = max(track.committed, offset)
