"""Reader on RapidOCR: PP-OCR detection and recognition on ONNX Runtime, weights from its wheel."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL.Image import Image

from processors.engines.lazy_engine import LazyEngine
from processors.engines.ports import Found
from processors.engines.weights import weights_digest
from schemas.documents import EngineStamp
from schemas.errors import DecodeFailed

_DETECTOR = "PP-OCRv6_det_small.onnx"
_RECOGNISER = "PP-OCRv6_rec_small.onnx"


class RapidOcrReader(LazyEngine):
    """Reads pages on one thread (scale by processes: two of one thread read more than one of two).

    `det_limit_side`: longest side in pixels that lines are searched at; `rec_batch`: lines recognised together;
    `line_classifier`: turn lines by 180° where a classifier says so (it turns lines of capitals, wrongly).
    """

    def __init__(self, det_limit_side: int, rec_batch: int, line_classifier: bool) -> None:
        self._settings = {
            "det_limit_side": det_limit_side, "rec_batch": rec_batch, "line_classifier": line_classifier,
        }  # fmt: skip
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
        if settings == self._settings:
            return self
        if self._other is None or settings != self._other._settings:
            self._other = RapidOcrReader(**settings)
        return self._other

    def _open(self) -> EngineStamp:
        """Load both models and read one drawn line, so that the first page finds everything warm."""
        import cv2
        import numpy
        import rapidocr

        cv2.setNumThreads(1)  # before OpenCV's first call: it keeps the pool that it starts with
        folder = Path(rapidocr.__file__).parent / "models"
        files = (folder / _DETECTOR, folder / _RECOGNISER)
        digest = weights_digest(files)
        # A path given is a file never downloaded: by name alone RapidOCR fetches what it does not find.
        paths = {"Det.model_path": str(files[0]), "Rec.model_path": str(files[1])}
        engine = rapidocr.RapidOCR(params={**self._options, **paths})
        line = numpy.full((64, 256, 3), 255, numpy.uint8)
        engine(cv2.putText(line, "Headrace", (10, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3))
        self._engine = engine
        return EngineStamp(name="rapidocr", model="PP-OCRv6 small", version=version("rapidocr"), digest=digest)

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
