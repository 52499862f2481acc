"""Edits of a dead letter: settings from the command line, a payload from an editor, and a yes to them."""

import difflib
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.errors import CliError, Exit
from cli.output import agree, note, plain
from schemas.dead_letters import LetterView
from schemas.plans import PLANS


def edited_settings(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`STEP.NAME=VALUE` as the API takes it; a value is JSON where it can be read as such, else a text."""
    edits: dict[str, dict[str, Any]] = {}
    for one in given:
        name, equals, value = one.partition("=")
        step, dot, setting = name.partition(".")
        if not (equals and dot and step and setting):
            raise CliError(f"--set {plain(one)} is no setting", Exit.USAGE, "such as --set ocr.det_limit_side=1280")
        try:
            edits.setdefault(step, {})[setting] = json.loads(value)
        except ValueError:
            edits.setdefault(step, {})[setting] = value
    return edits


def edited_payload(payload: dict[str, Any] | None) -> dict[str, Any]:
    """The payload as $EDITOR left it; raises `CliError` where it is not JSON any more, or unchanged."""
    if payload is None:
        raise CliError("the letter's bytes are none that can be edited", Exit.FAILED, "redrive it as it is")
    before = json.dumps(payload, indent=2, ensure_ascii=False) + "\n"
    after = _edit(before)
    if after.strip() == before.strip():
        raise CliError("nothing was changed", Exit.FAILED, "`headrace dlq redrive` tries it as it is")
    try:
        found = json.loads(after)
    except ValueError as error:
        raise CliError(f"what was saved is not JSON: {error}", Exit.USAGE) from error
    if not isinstance(found, dict):
        raise CliError("what was saved is no JSON object", Exit.USAGE)
    return found


def agreed(letter: LetterView, edits: dict[str, Any], *, yes: bool) -> None:
    """Show what is to be sent, and go on with a yes alone; raises `CliError` without."""
    before = letter.payload if "payload" in edits else _present(letter.plan, edits["settings"])
    after = edits.get("payload", edits.get("settings"))
    old, new = (json.dumps(side, indent=2, ensure_ascii=False).splitlines() for side in (before, after))
    for line in difflib.unified_diff(old, new, "before", "after", lineterm=""):
        note(plain(line))
    agree("Send it?", yes=yes)


def _present(plan: str, settings: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What those settings are now, as far as this release knows the plan."""
    if plan not in PLANS:
        return {}
    known = {step.name: step.settings for step in PLANS[plan].steps}
    return {
        step: {name: known[step][name] for name in names if name in known[step]}
        for step, names in settings.items()
        if step in known
    }


def _edit(content: str) -> str:
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "payload.json"
        file.write_text(content)
        try:
            subprocess.run([*editor, str(file)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise CliError(f"{editor[0]} could not be run", Exit.USAGE, "set EDITOR, or edit by --set") from error
        return file.read_text()
