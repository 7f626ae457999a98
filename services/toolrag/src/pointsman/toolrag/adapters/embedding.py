"""all-MiniLM-L6-v2: vectors of tools at set-up, its tokenizer as a token count.

The model is the process's own, shared with whoever else embeds; nothing of it is loaded while
requests carry their vector.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np

from pointsman.embedding import Model, opened, tokenizer
from pointsman.toolrag.domain import Vectors


def token_counter() -> Callable[[str], int]:
    """Return a function that counts the WordPiece tokens of a text, special tokens left out."""
    words = tokenizer()

    def count(text: str) -> int:
        return len(words.encode(text, add_special_tokens=False).ids)

    return count


class MiniLmEmbedder:
    """Embeds texts on the calling thread; the model of ``folder`` is opened at the first call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()
        self._model: Model | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def embed(self, texts: list[str]) -> Vectors:
        """Return one L2-normalised float32 row per text."""
        model = self._opened()
        return np.stack([model.embed(text) for text in texts])

    def _opened(self) -> Model:
        with self._lock:
            if self._model is None:
                self._model = self._held.enter_context(opened(self._folder))
            return self._model


class ReferenceEmbedder:
    """sentence-transformers in 32-bit floats, to measure against."""

    def __init__(self) -> None:
        from pointsman.embedding.reference import load_reference

        self._model = load_reference()

    def embed(self, texts: list[str]) -> Vectors:
        from pointsman.embedding.reference import reference_vectors

        return reference_vectors(self._model, texts)
