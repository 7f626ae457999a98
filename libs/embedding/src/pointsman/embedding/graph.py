"""The model as an ONNX graph, built from its weights: token ids in, one normalised vector out.

Written out rather than traced, so that it holds what serving needs and no more: one text at a time,
so neither mask nor padding; no token types; attention as one operation, which quantises whole.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Weights = Mapping[str, NDArray[np.float32]]

_LAYERS: Final = 6
_HEADS: Final = 12
_DIMENSIONS: Final = 384
_EPSILON: Final = 1e-12
_CONTRIB: Final = "com.microsoft"
# Known to every ONNX Runtime from 1.20 on.
_OPSET: Final = 20
_IR_VERSION: Final = 10


def bert_graph(weights: Weights) -> ModelProto:
    """Return the graph of a six-layer BERT with mean pooling.

    Shapes: input_ids (1, tokens) int64; vector (1, 384) float32, L2-normalised.
    """
    graph = _Graph(weights)
    x = graph.embeddings()
    for number in range(_LAYERS):
        x = graph.layer(x, f"encoder.layer.{number}.")
    graph.pooled(x)
    return graph.model()


class _Graph:
    """Nodes and constants as they are added; a method returns the name of what it computes."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def embeddings(self) -> str:
        """Words by position. Words are int8 with a scale for each row: a quarter of the memory."""
        words = self._weights["embeddings.word_embeddings.weight"]
        scales: NDArray[np.float32] = np.abs(words).max(axis=1, keepdims=True) / 127
        rows = self._constant("words", np.round(words / scales).astype(np.int8))
        positions = self._constant(
            "positions",
            self._weights["embeddings.position_embeddings.weight"]
            + self._weights["embeddings.token_type_embeddings.weight"][0],
        )
        tokens = self._node("Shape", ["input_ids"], start=1, end=2)
        first = self._constant("first", np.array([0], dtype=np.int64))
        quantised = self._node("Cast", [self._node("Gather", [rows, "input_ids"])], to=1)
        scale = self._node("Gather", [self._constant("word_scales", scales), "input_ids"])
        x = self._node(
            "Add",
            [
                self._node("Mul", [quantised, scale]),
                self._node("Slice", [positions, first, tokens, first]),
            ],
        )
        return self._normalised(x, "embeddings.LayerNorm")

    def layer(self, x: str, name: str) -> str:
        attended = self._linear(self._attention(x, name), f"{name}attention.output.dense")
        x = self._normalised(self._node("Add", [attended, x]), f"{name}attention.output.LayerNorm")
        wide = self._node("Gelu", [self._linear(x, f"{name}intermediate.dense")])
        narrow = self._linear(wide, f"{name}output.dense")
        return self._normalised(self._node("Add", [narrow, x]), f"{name}output.LayerNorm")

    def pooled(self, x: str) -> None:
        axis = self._constant("axis", np.array([1], dtype=np.int64))
        mean = self._node("ReduceMean", [x, axis], keepdims=0)
        self._node("Div", [mean, self._node("ReduceL2", [mean, axis])], output="vector")

    def model(self) -> ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, _DIMENSIONS])],
            self._constants,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _attention(self, x: str, name: str) -> str:
        parts = [f"{name}attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([self._weights[f"{part}.bias"] for part in parts])
        inputs = [
            x,
            self._constant(f"{name}qkv.weight", weight),
            self._constant(f"{name}qkv.bias", bias),
        ]
        return self._node("Attention", inputs, domain=_CONTRIB, num_heads=_HEADS)

    def _linear(self, x: str, name: str) -> str:
        weight = self._constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        return self._node("Add", [self._node("MatMul", [x, weight]), self._own(f"{name}.bias")])

    def _normalised(self, x: str, name: str) -> str:
        inputs = [x, self._own(f"{name}.weight"), self._own(f"{name}.bias")]
        return self._node("LayerNormalization", inputs, epsilon=_EPSILON)

    def _own(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(
        self, kind: str, inputs: list[str], *, output: str = "", domain: str = "", **attributes: Any
    ) -> str:
        name = output or f"{kind}_{len(self._nodes)}"
        node = helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes)
        self._nodes.append(node)
        return name
