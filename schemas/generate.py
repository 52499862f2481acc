"""JSON Schemas of every record, one file a version: `python -m schemas.generate` writes them to `schemas/json`."""

import json
from pathlib import Path

from pydantic import BaseModel

from schemas.control import AttemptsMarked, ControlEntry
from schemas.documents import PAYLOADS
from schemas.envelope import Envelope
from schemas.results import PUBLIC, RelayPosition

FOLDER = Path(__file__).parent / "json"


def generated() -> dict[str, str]:
    """File name to content: what lies in the folder when it is up to date."""
    models: dict[str, type[BaseModel]] = {payload.kind(): payload for payload in (*PAYLOADS.values(), *PUBLIC)}
    plain = (Envelope, ControlEntry, AttemptsMarked, RelayPosition)
    models |= {f"headrace.{model.__name__}.v1": model for model in plain}
    return {
        f"{name}.json": json.dumps({"$id": name, **model.model_json_schema()}, indent=2, sort_keys=True) + "\n"
        for name, model in models.items()
    }


def main() -> None:
    """Write the folder anew."""
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.json"):
        stale.unlink()
    for name, content in generated().items():
        (FOLDER / name).write_text(content)


if __name__ == "__main__":
    main()
