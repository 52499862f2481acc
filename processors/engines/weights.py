"""Weights files: which they are, and that they are there."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import HeadraceError


class ModelMissing(HeadraceError):
    """A model file is not where it should be: an operator's fault, which waiting records outlive."""

    code = "model_missing"
    status = 503
    fate = "hold"
    title = "A model is missing; run: headrace models fetch"


class OtherModelMissing(HeadraceError):
    """A model that an edit alone asks for is missing: the pages of all others do not wait for it."""

    code = "other_model_missing"
    status = 503
    fate = "reject"
    title = "The model that was asked for is missing; run: headrace models fetch"


def weights_digest(files: Sequence[Path]) -> str:
    """The first 16 hex digits of sha256 over the files, in order; raises `ModelMissing` where one is not."""
    total = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        except FileNotFoundError as error:
            raise ModelMissing(f"{path.name} is not in the model cache; run: headrace models fetch") from error
    return total.hexdigest()[:16]
