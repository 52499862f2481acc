"""How this project runs an ONNX graph: on one thread, and with memory given back after each call."""

from pathlib import Path
from typing import Any


def onnx_session(graph: Path) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU; scale by processes, two of one thread do more than one of two."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
