"""The graph against an independent forward pass in float64, on a tiny model and on the real weights."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from processors.engines.minilm_builder import build
from processors.engines.minilm_embedder import MiniLmEmbedder
from processors.engines.weights import ModelMissing
from schemas.settings import Settings

Array = NDArray[Any]
TEXTS = [
    "A man is eating food.",
    "Someone eats a meal.",
    "The stock market fell sharply on Monday.",
    "hi",
    "word " * 300,
    "",
]


def forward(folder: Path, ids: Array, mask: Array) -> Array:
    """BERT by its equations, in float64, with nothing of the builder's."""
    config = json.loads((folder / "config.json").read_text())
    weight = {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}
    heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]

    def linear(x: Array, name: str) -> Array:
        return x @ weight[f"{name}.weight"].T + weight[f"{name}.bias"]

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return scaled * weight[f"{name}.weight"] + weight[f"{name}.bias"]

    def attend(x: Array, name: str) -> Array:
        query, key, value = (linear(x, f"{name}.self.{part}") for part in ("query", "key", "value"))
        size = x.shape[-1] // heads
        joined = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = query[..., part] @ key[..., part].transpose(0, 2, 1) / math.sqrt(size)
            weights = np.exp(scores - scores.max(-1, keepdims=True)) * mask[:, None, :]
            joined.append(weights / weights.sum(-1, keepdims=True) @ value[..., part])
        return linear(np.concatenate(joined, -1), f"{name}.output.dense")

    words, places, kinds = (
        weight[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    )
    x = norm(words[ids] + places[: ids.shape[1]] + kinds[0], "embeddings.LayerNorm")
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        x = norm(x + attend(x, f"{layer}.attention"), f"{layer}.attention.output.LayerNorm")
        wide = linear(x, f"{layer}.intermediate.dense")
        wide = 0.5 * wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        x = norm(x + linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True))


def tiny_model(folder: Path) -> None:
    chance = np.random.default_rng(3)
    hidden, wide, words = 12, 20, 30
    shapes = {f"embeddings.{name}_embeddings.weight": (rows, hidden) for name, rows in
              (("word", words), ("position", 16), ("token_type", 2))}  # fmt: skip
    names = ["embeddings.LayerNorm"]
    for number in range(2):
        layer = f"encoder.layer.{number}"
        squares = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        for name in (*squares, f"{layer}.attention.output.dense"):
            shapes |= {f"{name}.weight": (hidden, hidden), f"{name}.bias": (hidden,)}
        shapes |= {f"{layer}.intermediate.dense.weight": (wide, hidden), f"{layer}.intermediate.dense.bias": (wide,)}
        shapes |= {f"{layer}.output.dense.weight": (hidden, wide), f"{layer}.output.dense.bias": (hidden,)}
        names += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name in names:
        shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    weights = {name: chance.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors")
    config = {"model_type": "bert", "hidden_act": "gelu", "hidden_size": hidden, "num_attention_heads": 3,
              "num_hidden_layers": 2, "layer_norm_eps": 1e-12}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def weights() -> Path:
    """The real model's folder."""
    folder = Settings().models / "minilm"
    if not (folder / "minilm.onnx").exists():
        pytest.fail("the embedding model is not in the model cache; run: headrace models fetch")
    return folder


def test_the_graph_of_a_random_model_is_the_equations(tmp_path: Path) -> None:
    tiny_model(tmp_path)
    build(tmp_path, tmp_path / "tiny.onnx")
    chance = np.random.default_rng(5)
    ids = chance.integers(0, 30, (6, 11))
    mask = (np.arange(11) < chance.integers(1, 12, (6, 1))).astype(np.int64)
    session = onnxruntime.InferenceSession(tmp_path / "tiny.onnx", providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    assert np.abs(answer - forward(tmp_path, ids, mask)).max() < 1e-5


def test_the_graph_of_the_real_weights_is_the_equations(weights: Path) -> None:
    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(TEXTS[:4])
    ids = np.array([item.ids for item in encoded])
    mask = np.array([item.attention_mask for item in encoded])
    vectors = MiniLmEmbedder(weights, 256).embed(TEXTS[:4])
    assert np.abs(np.array(vectors) - forward(weights, ids, mask)).max() < 1e-5


def test_real_vectors_know_what_belongs_together(weights: Path) -> None:
    eating, meal, stocks, *rest = (np.array(vector) for vector in MiniLmEmbedder(weights, 256).embed(TEXTS))
    assert eating @ meal > 0.7
    assert eating @ stocks < 0.1
    for vector in (eating, meal, stocks, *rest):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_text_has_one_vector_whatever_stands_beside_it(weights: Path) -> None:
    embedder = MiniLmEmbedder(weights, 256)
    together = embedder.embed(TEXTS * 2)
    for text, vector in zip(TEXTS * 2, together, strict=True):
        assert np.abs(np.array(embedder.embed([text])[0]) - np.array(vector)).max() < 1e-5
    assert embedder.embed([]) == []
    assert embedder.dimensions == 384
    assert len(embedder.stamp.digest) == 16


def test_tokens_are_counted_before_anything_is_cut_off(weights: Path) -> None:
    whole = Tokenizer.from_file(str(weights / "tokenizer.json"))
    whole.no_truncation()
    whole.no_padding()
    texts = [*TEXTS, "word " * 1000]
    expected = [len(item.ids) for item in whole.encode_batch(texts)]
    assert MiniLmEmbedder(weights, 256).count(texts) == expected
    assert expected[-1] == 1002


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="headrace models fetch"):
        MiniLmEmbedder(tmp_path, 256).load()
    with pytest.raises(ModelMissing, match="headrace models fetch"):
        build(tmp_path, tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    tiny_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(ValueError, match="BERT"):
        build(tmp_path, tmp_path / "out.onnx")
