"""Where the pages of a job lie in the blob store: what `prepare` puts there and others find again."""


def picture_key(tenant: str, job: str, run: int, page: int) -> str:
    """A page's upright picture, as the document's run `run` made it."""
    return f"{_stem(tenant, job, run, page)}.png"


def prepared_key(tenant: str, job: str, run: int, page: int) -> str:
    """The page's `PagePrepared` as JSON, beside its picture: what a resumed job goes on from."""
    return f"{_stem(tenant, job, run, page)}.json"


def sections_key(tenant: str, job: str, run: int) -> str:
    """All sections of a document of text as JSON, a `PageRead` each: what later slices of it are taken from."""
    return f"{tenant}/{job}/pages/{run}/sections.json"


def _stem(tenant: str, job: str, run: int, page: int) -> str:
    return f"{tenant}/{job}/pages/{run}/{page:05d}"
