"""The descriptions as files: `python -m api.generate` writes them to `docs/api`, and `docs/errors.md`."""

import json
from pathlib import Path

from fastapi import FastAPI

from api import description, problems
from api.app import with_routes
from schemas.asyncapi import asyncapi

FOLDER = Path(__file__).parents[1] / "docs/api"
ERRORS = FOLDER.with_name("errors.md")


def generated() -> dict[str, str]:
    """File name to content: what lies in the folder when it is up to date."""
    app = with_routes(FastAPI(generate_unique_id_function=description.operation_id))
    documents = {"openapi.json": app.openapi(), "asyncapi.json": asyncapi()}
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in documents.items()}


def main() -> None:
    """Write the folder anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in generated().items():
        (FOLDER / name).write_text(content)
    ERRORS.write_text(problems.page())


if __name__ == "__main__":
    main()
