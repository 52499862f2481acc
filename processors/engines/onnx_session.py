"""How this project runs an ONNX graph: on one thread, and with memory given back after each call."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from processors.engines.lazy_engine import LazyEngine
from processors.engines.weights import weights_digest
from schemas.documents import EngineStamp


def onnx_session(graph: Path) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU; scale by processes, two of one thread do more than one of two."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


class PictureModel(LazyEngine):
    """An engine of one graph that looks at pictures; `_session` runs it once it is loaded."""

    def __init__(self, graph: Path, name: str, model: str) -> None:
        self._graph, self._name, self._model = graph, name, model
        self._session: Any = None

    def _open(self) -> EngineStamp:
        import cv2

        cv2.setNumThreads(1)  # before OpenCV's first call: it keeps the pool that it starts with
        digest = weights_digest((self._graph,))
        self._session = onnx_session(self._graph)
        return EngineStamp(name=self._name, model=self._model, version=version("onnxruntime"), digest=digest)
