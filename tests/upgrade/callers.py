"""Callers who submit as long as the platform is changed under them."""

from pathlib import Path

from deploy.local.samples import letters
from tests.faults.documents import SCANNED, report
from tests.faults.submitter import Submitter
from tests.upgrade.fleet import Fleet

_PAGES = {SCANNED: 10, "report.txt": 20}


class Callers(Submitter):
    """Submits scans and, where asked, texts in turn, one every `every` seconds, from now until told to stop."""

    def __init__(self, fleet: Fleet, folder: Path, every: float, *, texts: bool = False) -> None:
        letters(folder / SCANNED, _PAGES[SCANNED])
        report(folder / "report.txt", _PAGES["report.txt"], 1)
        names = _PAGES if texts else [SCANNED]
        super().__init__(fleet, [folder / name for name in names] * 2000, every)
        self.start()

    def stop(self) -> dict[str, int]:
        """The jobs that were accepted, and how many pages each has."""
        self._documents.clear()  # the walk over it ends with the document that is under way
        self.join(60)
        assert not self.is_alive(), "a caller was never answered"
        return {job: _PAGES[path.name] for job, path in self.accepted.items()}
