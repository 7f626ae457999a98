"""The vectors of a data set's texts: embedded once, as the classifier embeds, and kept on disk."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointsman.classifier.domain.wording import embedded_part
from pointsman.embedding import identity, open_encoder

Vectors = NDArray[np.float32]

CACHE = Path(".state/evaluation")
EMBEDDER = Path(".state/embedder")


def vectors_of(texts: Sequence[str], *, cache: Path = CACHE, embedder: Path = EMBEDDER) -> Vectors:
    """Return the vectors of ``texts``, shape (n, 384), L2-normalised; row order is kept.

    The cache holds a file per list of texts and model, named by its hash; no words are kept.
    """
    parts = [embedded_part(text) or " " for text in texts]
    digest = hashlib.sha256(identity().encode())
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    path = cache / f"vectors-{digest.hexdigest()[:32]}.npy"
    if path.is_file():
        kept: Vectors = np.load(path)
        return kept
    made = asyncio.run(_embed(parts, embedder)) if parts else np.zeros((0, 384), np.float32)
    cache.mkdir(parents=True, exist_ok=True)
    # Two evaluations may write at once; each replaces the whole file.
    draft = path.with_suffix(f".{os.getpid()}.npy")
    np.save(draft, made)
    draft.replace(path)
    return made


async def _embed(parts: Sequence[str], embedder: Path) -> Vectors:
    async with open_encoder(embedder, cached_vectors=0) as encoder:
        return await encoder.embed_all(parts)
