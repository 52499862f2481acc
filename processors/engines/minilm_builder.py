"""MiniLM's ONNX graph from its published weights, without torch.

Inputs `input_ids` and `attention_mask` (int64, batch x sequence); output `sentence_embedding` (float32, batch x
hidden): the mean over the unmasked tokens, L2-normalised.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from processors.engines.weights import ModelMissing

_OPSET = 17
_IR_VERSION = 8
_MASKED = -10000.0  # added to the attention scores of padding: exp() of it is 0 in float32


def build(model_dir: Path, out: Path) -> None:
    """Write the graph of `model.safetensors` and `config.json` in `model_dir` to `out`, whole or not at all.

    Raises `ModelMissing` where a file is not there, `ValueError` for a model that is not of this architecture.
    """
    try:
        config = json.loads((model_dir / "config.json").read_text())
        tensors = load_file(model_dir / "model.safetensors")
    except FileNotFoundError as error:
        raise ModelMissing("model.safetensors or config.json is not there; run: headrace models fetch") from error
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise ValueError("this builder knows BERT encoders with GELU only")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError("this builder knows absolute positions only")
    model = _Graph(config, tensors).model()
    onnx.checker.check_model(model)
    unfinished = out.with_name(out.name + ".part")
    onnx.save(model, unfinished)
    unfinished.replace(out)


class _Graph:
    """A graph in the making. Methods add nodes and return the name of the value they make."""

    def __init__(self, config: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> None:
        self._hidden: int = config["hidden_size"]
        self._heads: int = config["num_attention_heads"]
        self._layers: int = config["num_hidden_layers"]
        self._epsilon: float = config["layer_norm_eps"]
        self._tensors = {name.removeprefix("bert."): value.astype(np.float32) for name, value in tensors.items()}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        """The whole encoder."""
        mask = self._cast(self._add("Unsqueeze", "attention_mask", self._ints(1)))  # batch x 1 x sequence
        keys = self._add("Unsqueeze", mask, self._ints(2))  # in two steps: ONNX Runtime's fusion looks for them
        hidden = self._embeddings()
        penalty = self._add("Mul", self._add("Sub", self._number(1.0), keys), self._number(_MASKED))
        for layer in range(self._layers):
            hidden = self._layer(hidden, penalty, f"encoder.layer.{layer}.")
        self._pool(hidden)
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask")
        ]
        output = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", self._hidden])
        graph = helper.make_graph(self._nodes, "minilm", inputs, [output], list(self._constants.values()))
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="headrace")

    def _embeddings(self) -> str:
        words = self._add("Gather", self._tensor("embeddings.word_embeddings.weight"), "input_ids")
        shape = self._add("Shape", "input_ids")
        length = self._add("Slice", shape, self._ints(1), self._ints(2))
        kind = self._tensors["embeddings.token_type_embeddings.weight"][0]  # one sentence: always type 0
        positions = self._constant("positions", self._tensors["embeddings.position_embeddings.weight"] + kind)
        places = self._add("Slice", positions, self._ints(0), length, self._ints(0))
        return self._norm(self._add("Add", words, places), "embeddings.LayerNorm")

    def _layer(self, hidden: str, penalty: str, prefix: str) -> str:
        query = self._split(self._linear(hidden, prefix + "attention.self.query"), [0, 2, 1, 3])
        key = self._split(self._linear(hidden, prefix + "attention.self.key"), [0, 2, 3, 1])
        value = self._split(self._linear(hidden, prefix + "attention.self.value"), [0, 2, 1, 3])
        scale = self._number(math.sqrt(self._hidden // self._heads))
        scores = self._add("Add", self._add("Div", self._add("MatMul", query, key), scale), penalty)
        context = self._add("MatMul", self._add("Softmax", scores, axis=-1), value)
        merged = self._add(
            "Reshape", self._add("Transpose", context, perm=[0, 2, 1, 3]), self._ints(0, 0, self._hidden)
        )
        attended = self._add("Add", self._linear(merged, prefix + "attention.output.dense"), hidden)
        attended = self._norm(attended, prefix + "attention.output.LayerNorm")
        wide = self._gelu(self._linear(attended, prefix + "intermediate.dense"))
        return self._norm(
            self._add("Add", self._linear(wide, prefix + "output.dense"), attended), prefix + "output.LayerNorm"
        )

    def _pool(self, hidden: str) -> None:
        mask = self._cast(self._add("Unsqueeze", "attention_mask", self._ints(2)))  # batch x sequence x 1
        total = self._add("ReduceSum", self._add("Mul", hidden, mask), self._ints(1), keepdims=0)
        count = self._add("Clip", self._add("ReduceSum", mask, self._ints(1), keepdims=0), self._number(1.0))
        mean = self._add("Div", total, count)
        length = self._add("ReduceL2", mean, axes=[-1], keepdims=1)
        nodes = helper.make_node("Div", [mean, self._add("Clip", length, self._number(1e-12))], ["sentence_embedding"])
        self._nodes.append(nodes)

    def _gelu(self, value: str) -> str:
        error = self._add("Erf", self._add("Div", value, self._number(math.sqrt(2.0))))
        return self._add("Mul", self._add("Mul", value, self._add("Add", error, self._number(1.0))), self._number(0.5))

    def _split(self, value: str, axes: list[int]) -> str:
        heads = self._ints(0, 0, self._heads, self._hidden // self._heads)
        return self._add("Transpose", self._add("Reshape", value, heads), perm=axes)

    def _linear(self, value: str, name: str) -> str:
        weight = self._constant(f"{name}.weight^T", self._tensors[f"{name}.weight"].T)  # stored as output x input
        return self._add("Add", self._tensor(f"{name}.bias"), self._add("MatMul", value, weight))

    def _norm(self, value: str, name: str) -> str:
        weights = (self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias"))
        return self._add("LayerNormalization", value, *weights, axis=-1, epsilon=self._epsilon)

    def _cast(self, value: str) -> str:
        return self._add("Cast", value, to=TensorProto.FLOAT)

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def _tensor(self, name: str) -> str:
        return self._constant(name, self._tensors[name])

    def _ints(self, *values: int) -> str:
        return self._constant(f"ints_{'_'.join(map(str, values))}", np.array(values, np.int64))

    def _number(self, value: float) -> str:
        return self._constant(f"number_{value}", np.array(value, np.float32))

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name
