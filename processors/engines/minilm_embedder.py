"""Embedder on MiniLM (all-MiniLM-L6-v2) and ONNX Runtime, from the files that `headrace models fetch` brings."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from processors.engines.lazy_engine import LazyEngine
from processors.engines.onnx_session import onnx_session
from processors.engines.weights import weights_digest
from schemas.documents import EngineStamp

_SPECIAL = 2  # tokens that stand around every text: [CLS] and [SEP]
_BATCH = 8  # texts of about one length; larger batches only add padding


class MiniLmEmbedder(LazyEngine):
    """384-dimensional sentence vectors on one thread; `max_tokens` of each text count, the rest is cut off."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._folder = folder
        self.max_tokens = max_tokens
        self._session: Any = None
        self._tokenizer: Any = None
        self._other: MiniLmEmbedder | None = None

    def tuned(self, settings: Mapping[str, Any]) -> "MiniLmEmbedder":
        """The embedder at other settings; of those, the one asked for last is kept."""
        if settings == {"max_tokens": self.max_tokens}:
            return self
        if self._other is None or settings != {"max_tokens": self._other.max_tokens}:
            self._other = MiniLmEmbedder(self._folder, **settings)
        return self._other

    @property
    def dimensions(self) -> int:
        """Numbers of a vector, as the graph declares."""
        self.load()
        return int(self._session.get_outputs()[0].shape[1])

    def _open(self) -> EngineStamp:
        from tokenizers import Tokenizer

        graph, words = self._folder / "minilm.onnx", self._folder / "tokenizer.json"
        digest = weights_digest((graph, words))
        self._tokenizer = Tokenizer.from_file(str(words))
        self._tokenizer.enable_truncation(self.max_tokens)  # the file itself says 128, and pads all to 128
        self._tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")  # noqa: S106 a token of text, not a secret
        self._session = onnx_session(graph)
        return EngineStamp(
            name="minilm-onnxruntime", model="all-MiniLM-L6-v2", version=version("onnxruntime"), digest=digest
        )

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, its first and last special one included, before anything is cut off."""
        self.load()
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        return [sum(map(_words, (item, *item.overflowing))) + _SPECIAL for item in encoded]

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One L2-normalised vector a text, in order."""
        self.load()
        by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        vectors: dict[int, tuple[float, ...]] = {}
        for start in range(0, len(by_length), _BATCH):
            chosen = by_length[start : start + _BATCH]
            rows = self._run([texts[index] for index in chosen])
            vectors.update((index, tuple(row.tolist())) for index, row in zip(chosen, rows, strict=True))
        return [vectors[index] for index in range(len(texts))]

    def _run(self, texts: list[str]) -> Any:
        import numpy

        encoded = self._tokenizer.encode_batch(texts)
        inputs = {
            "input_ids": numpy.array([item.ids for item in encoded], numpy.int64),
            "attention_mask": numpy.array([item.attention_mask for item in encoded], numpy.int64),
        }
        return self._session.run(None, inputs)[0]


def _words(part: Any) -> int:
    """Tokens of a part of a text that are neither special nor padding."""
    return int(sum(part.attention_mask)) - _SPECIAL
