"""docs/cli.md, written from the command itself: `python -m cli.reference`."""

from pathlib import Path

import typer.main
from typer.cli import get_docs_for_click

from cli.errors import Exit
from cli.main import build

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
_MEANINGS = {
    Exit.OK: "all is well",
    Exit.FAILED: "something was refused or failed: a job did not succeed, a document was refused, a check failed",
    Exit.USAGE: "the command line, a setting or a file that was named is wrong",
    Exit.UNREACHABLE: "the server, the log or a part behind them does not answer, or asks to come back later",
    Exit.UNAUTHORIZED: "no API key is known, or the server does not know it",
    Exit.NOT_FOUND: "there is no such job, document or topic, or it is no longer kept",
    Exit.TIMEOUT: "waiting took longer than `--timeout`; the jobs go on",
    Exit.INTERRUPTED: "Ctrl-C",
}
_HEAD = """\
# The command line

Written by `python -m cli.reference` from the command itself; a test says when it is stale.

- Data goes to stdout, all else to stderr. Where stdout is a terminal, lists are tables and times are ages or local;
  in a pipe they are tab-separated lines, whole, with times in UTC. `--json` prints one object, or one object a line
  (lists, `watch`, `tail`); its keys are those of the HTTP interface.
- Bars and questions appear only on a terminal; where nobody can be asked, what deletes or discards wants `--yes`.
  `NO_COLOR` is honoured. Control characters of documents and file names never reach the terminal.
- An error is `error: what`, the server's `request: id` where there is one, and `hint: what to do`; the traceback of an
  error comes with `headrace --debug COMMAND`.
- The server is the one of `--url` and `--api-key` (`HEADRACE_URL`, `HEADRACE_API_KEY`), else the embedded stack's in
  `--data-dir` (`HEADRACE_DATA_DIR`); `tail` reads the log at `HEADRACE_KAFKA`, else the embedded stack's.
- `submit --wait` and `jobs watch` ride over servers that restart and connections that break: no event is missed or
  told twice.
- `headrace --install-completion`: verbs, options, topics and the ids of your newest jobs are completed.

| exit code | meaning |
|---|---|
"""


def reference() -> str:
    """The page."""
    codes = "".join(f"| {code.value} | {_MEANINGS[code]} |\n" for code in Exit)
    command = typer.main.get_command(build())
    verbs = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="headrace"), name="headrace", indent=1)
    return f"{_HEAD}{codes}\n{verbs.strip()}\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8")
