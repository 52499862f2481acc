"""How this project runs an ONNX graph: on one thread, and with memory given back after each call."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

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


class PictureModel:
    """An engine of one graph that looks at pictures; `_session` runs it once it is loaded."""

    def __init__(self, graph: Path, name: str, model: str) -> None:
        self._graph, self._name, self._model = graph, name, model
        self._session: Any = None
        self._stamp: EngineStamp | None = None

    @property
    def stamp(self) -> EngineStamp:
        """The model, ONNX Runtime's release, and a digest of the graph."""
        self.load()
        assert self._stamp is not None
        return self._stamp

    def load(self) -> None:
        """Load the graph (about 0.1 s); raises `ModelMissing` with what to do."""
        if self._session is not None:
            return
        import cv2

        cv2.setNumThreads(1)  # before OpenCV's first call: it keeps the pool that it starts with
        digest = weights_digest((self._graph,))
        self._stamp = EngineStamp(name=self._name, model=self._model, version=version("onnxruntime"), digest=digest)
        self._session = onnx_session(self._graph)
