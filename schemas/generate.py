"""What is made of the models: `python -m schemas.generate` writes it.

JSON Schemas of every record, one file a version, in `schemas/json`; the table of settings in `docs/operations.md`, and
that of scopes in `docs/authentication.md`.
"""

import ast
import inspect
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from schemas.control import AttemptsMarked, ControlEntry, LoadReport, StepOrder
from schemas.documents import PAYLOADS
from schemas.envelope import Envelope
from schemas.keys import KeyEntry
from schemas.results import PUBLIC, RelayPosition
from schemas.scopes import MEANINGS
from schemas.settings import Settings
from schemas.usage import Usage

FOLDER = Path(__file__).parent / "json"
OPERATIONS = FOLDER.parents[1] / "docs/operations.md"
AUTHENTICATION = OPERATIONS.with_name("authentication.md")


def generated() -> dict[str, str]:
    """File name to content: what lies in the folder when it is up to date."""
    models: dict[str, type[BaseModel]] = {payload.kind(): payload for payload in (*PAYLOADS.values(), *PUBLIC)}
    plain = (Envelope, ControlEntry, StepOrder, KeyEntry, Usage, LoadReport, AttemptsMarked, RelayPosition)
    models |= {f"headrace.{model.__name__}.v1": model for model in plain}
    return {
        f"{name}.json": json.dumps({"$id": name, **model.model_json_schema()}, indent=2, sort_keys=True) + "\n"
        for name, model in models.items()
    }


def operations(text: str) -> str:
    """The page `text` with the table of settings as `schemas.settings` has it, names, defaults and meanings."""
    rows = [f"| `HEADRACE_{name.upper()}` | {_default(name)} | {told} |\n" for name, told in _meanings().items()]
    return _with_table(text, "settings", "| variable | default | what for |\n|---|---|---|\n", rows)


def authentication(text: str) -> str:
    """The page `text` with the table of scopes as `schemas.scopes` has them."""
    rows = [f"| `{scope}` | {told} |\n" for scope, told in MEANINGS.items()]
    return _with_table(text, "scopes", "| scope | what it permits |\n|---|---|\n", rows)


def _with_table(text: str, name: str, head: str, rows: list[str]) -> str:
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->\n")
    return "".join([before, begin, "\n", head, *rows, "\n", end, after])


def _meanings() -> dict[str, str]:
    """The sentence under each setting, by its name."""
    (settings,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(settings, ast.ClassDef)
    found = {}
    for field, text in zip(settings.body, settings.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            found[ast.unparse(field.target)] = inspect.cleandoc(ast.literal_eval(text.value)).replace("\n", " ")
    return {name: " ".join(told.split()).replace("|", "\\|") for name, told in found.items()}


def _default(name: str) -> str:
    value: Any = Settings.model_fields[name].get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, Path):
        value = str(value).replace(str(Path.home()), "~")
    return f"`{value}`" if value not in (None, "", {}) else ""


def main() -> None:
    """Write everything anew."""
    OPERATIONS.write_text(operations(OPERATIONS.read_text()))
    AUTHENTICATION.write_text(authentication(AUTHENTICATION.read_text()))
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.json"):
        stale.unlink()
    for name, content in generated().items():
        (FOLDER / name).write_text(content)


if __name__ == "__main__":
    main()
