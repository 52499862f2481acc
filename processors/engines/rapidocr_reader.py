"""Reader on RapidOCR: PP-OCR detection and recognition on ONNX Runtime, weights from its wheel or the model cache."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL.Image import Image

from processors.engines.lazy_engine import LazyEngine
from processors.engines.ports import Found
from processors.engines.weights import ModelMissing, OtherModelMissing, weights_digest
from schemas.documents import EngineStamp
from schemas.errors import DecodeFailed
from schemas.plans import OCR_MODELS

_OWN, _OTHER = OCR_MODELS
_FILES = {
    _OWN: ("PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"),
    _OTHER: ("ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx"),
}
"""Detector and recogniser."""


class RapidOcrReader(LazyEngine):
    """Reads pages on one thread (scale by processes: two of one thread read more than one of two).

    `det_limit_side`: longest side in pixels that lines are searched at; `rec_batch`: lines recognised together;
    `line_classifier`: turn lines by 180° where a classifier says so (it turns lines of capitals, wrongly). `model`: one
    of `schemas.plans.OCR_MODELS`; all but the first lie in `cache`.
    """

    def __init__(
        self, cache: Path, *, det_limit_side: int, rec_batch: int, line_classifier: bool, model: str = _OWN
    ) -> None:
        self._settings = {
            "det_limit_side": det_limit_side, "rec_batch": rec_batch, "line_classifier": line_classifier,
            "model": model,
        }  # fmt: skip
        self._cache, self._model = cache, model
        self._other: RapidOcrReader | None = None
        self._options = {
            "Global.use_cls": line_classifier,
            "Global.log_level": "error",
            "Det.limit_side_len": det_limit_side,
            "Det.limit_type": "max",
            "Rec.rec_batch_num": rec_batch,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "EngineConfig.onnxruntime.enable_cpu_mem_arena": False,
        }
        self._engine: Any = None

    def tuned(self, settings: Mapping[str, Any]) -> "RapidOcrReader":
        """The reader at other settings; of those, the one asked for last is kept, as each takes some 150 MB."""
        wanted = {"model": _OWN, **settings}
        if wanted == self._settings:
            return self
        if self._other is None or wanted != self._other._settings:
            self._other = RapidOcrReader(self._cache, **wanted)
        return self._other

    def _open(self) -> EngineStamp:
        """Load both models and read one drawn line, so that the first page finds everything warm."""
        import cv2
        import numpy
        import rapidocr

        cv2.setNumThreads(1)  # before OpenCV's first call: it keeps the pool that it starts with
        folder = Path(rapidocr.__file__).parent / "models" if self._model == _OWN else self._cache
        files = [folder / name for name in _FILES[self._model]]
        try:
            digest = weights_digest(files)
        except ModelMissing as error:
            if self._model == _OWN:
                raise
            raise OtherModelMissing(str(error)) from error
        # A path given is a file never downloaded: by name alone RapidOCR fetches what it does not find.
        paths = {"Det.model_path": str(files[0]), "Rec.model_path": str(files[1])}
        engine = rapidocr.RapidOCR(params={**self._options, **paths})
        line = numpy.full((64, 256, 3), 255, numpy.uint8)
        engine(cv2.putText(line, "Headrace", (10, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3))
        self._engine = engine
        return EngineStamp(name="rapidocr", model=self._model, version=version("rapidocr"), digest=digest)

    def read(self, image: Image) -> list[Found]:
        """The lines of one page; raises `DecodeFailed` for a picture that is too narrow to be read."""
        import cv2
        import numpy
        from rapidocr.utils.process_img import ResizeImgError

        self.load()
        pixels = numpy.asarray(image)
        # In colour either way: RapidOCR knows a grey picture only with an axis for its one channel.
        picture = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR if image.mode == "L" else cv2.COLOR_RGB2BGR)
        try:
            answer = self._engine(picture)
        except ResizeImgError as error:
            raise DecodeFailed("the page's picture is too narrow to be read") from error
        texts = getattr(answer, "txts", None)  # places without texts come as another class
        if not texts:
            return []
        return [
            Found(text, tuple((float(x), float(y)) for x, y in quad), float(score))
            for text, quad, score in zip(texts, answer.boxes, answer.scores, strict=True)
        ]
