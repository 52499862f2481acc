"""What watches over a worker: its event loop, its progress, its place in the group, and its grace when it has to go."""

import asyncio
import threading

from processors.endings import Endings
from processors.group_watch import GroupWatch, Handed, Membership
from processors.pulse import Pulse
from processors.watchdog import Seen, Watchdog, end_within
from processors.watermark import Watermarks
from schemas.settings import Settings

_MARGIN = 0.5  # seconds of the grace that are left for the end itself


class Guard:
    """One worker's. Make it before anything else, so that `/livez` can tell the truth."""

    def __init__(self, settings: Settings, endings: Endings) -> None:
        self._settings = settings
        self._endings = endings
        self._over = threading.Event()
        self._handed = Handed(frozenset(), 0, 0)
        self._watchdog = Watchdog(endings.end, settings.loop_seconds, settings.stall_seconds)

    @property
    def complaint(self) -> str:
        """What is wrong with the process; empty while it is well."""
        return self._watchdog.complaint

    def watch(self, watermarks: Watermarks, pulse: Pulse, group: Membership) -> None:
        """Begin; called on the event loop that is to be watched."""

        def look() -> Seen:
            at_hand = watermarks.open_records()
            self._handed = Handed(frozenset(watermarks.partitions()), watermarks.handed(), at_hand)
            return Seen(at_hand, pulse.beats, pulse.in_bounded_call)

        self._watchdog.watch(asyncio.get_running_loop(), look)
        group_watch = GroupWatch(group, self._endings.end, self._settings.stall_seconds)
        group_watch.watch(lambda: self._handed, self._over)

    def leaving(self) -> None:
        """The worker was told to go: nothing more is judged, but that it goes within its grace."""
        self._over.set()
        self._watchdog.rest()
        end_within(self._settings.grace_seconds - _MARGIN, self._endings.end)
