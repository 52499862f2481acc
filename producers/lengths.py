"""How many pages a tenant's documents have, of those that were counted last. Pure."""

_DOCUMENTS = 32
"""Over about so many documents the average goes."""
_TENANTS = 1000
"""Of so many tenants is remembered what they had; of the others, what all had."""


class Lengths:
    """Means by tenant; where nothing was counted yet, that of all tenants, and 1 before anything was."""

    def __init__(self) -> None:
        self._known: set[tuple[str, int]] = set()
        self._all = _Mean()
        self._means: dict[str, _Mean] = {}

    def count(self, documents: dict[tuple[str, int], tuple[str, int]]) -> None:
        """Counted documents that are in work now: tenant and pages, by job and run. Each is taken in once."""
        for name, (tenant, pages) in documents.items():
            if name not in self._known:
                mean = self._means.pop(tenant, None) or _Mean()
                self._means[tenant] = mean  # last among those who may be forgotten
                mean.take(pages)
                self._all.take(pages)
        self._known = set(documents)
        while len(self._means) > _TENANTS:
            del self._means[next(iter(self._means))]

    def of(self, tenant: str) -> float:
        """The pages that a document of this tenant is expected to have, 1 at least."""
        return max(1.0, self._means.get(tenant, self._all).value)


class _Mean:
    """Exponential, but a plain mean of the first."""

    def __init__(self) -> None:
        self.value = 1.0
        self._taken = 0

    def take(self, pages: int) -> None:
        self._taken = min(self._taken + 1, _DOCUMENTS)
        self.value += (pages - self.value) / self._taken
