"""The classifier's rim: the embedding model, the route file, the prototypes, the scorers' files."""

import asyncio
import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar, cast

import numpy as np
import structlog
import yaml
from pydantic import TypeAdapter

from pointsman.classifier.domain.gain import Gain
from pointsman.classifier.domain.ports import DIMENSIONS, Array
from pointsman.classifier.domain.prototypes import PrototypeGroup, Prototypes, prototypes
from pointsman.classifier.domain.wording import embedded_part
from pointsman.embedding import Encoder
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.source import MAX_CHARACTERS, InvalidRoute, RouteFile, RouteRevision
from pointsman.scorers.intent_file import read_intents
from pointsman.scorers.intents import IntentHead
from pointsman.scorers.scorer_file import InvalidScorerFile, read_scorer

log = structlog.get_logger()
T = TypeVar("T")

# UTF-8 takes at most four bytes a character; what is longer is refused unread.
_MAX_ROUTE_BYTES = 4 * MAX_CHARACTERS


class BatchEmbedder(Protocol):
    """Embeds many texts; ``identity`` changes whenever the vectors would."""

    @property
    def identity(self) -> str: ...

    async def embed_all(self, texts: Sequence[str]) -> Array: ...


class MiniLm:
    """The process's encoder, given the part of a text that is embedded."""

    model = Encoder.model

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def problem(self) -> str | None:
        """Why texts cannot be embedded at once; None when they can."""
        return self._encoder.problem

    async def embed(self, text: str) -> Array:
        return await self._encoder.embed(embedded_part(text))


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


# --- the learned scorers -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The learned scorers that were found. One that is absent is None."""

    intents: IntentHead | None = None
    gain: Gain | None = None


class Remembered(Generic[T]):
    """A scorer that is asked once for each text of late: the same words have the same reading."""

    def __init__(self, ask: Callable[[Array, str], T], size: int) -> None:
        self._ask = ask
        self._size = size
        self._known: OrderedDict[str, T] = OrderedDict()

    def read(self, vector: Array, text: str) -> T:
        """Return what the scorer says of ``text``, whose vector this is."""
        known = self._known
        if text in known:
            known.move_to_end(text)
            return known[text]
        found = self._ask(vector, text)
        if self._size:
            known[text] = found
            if len(known) > self._size:
                known.popitem(last=False)
        return found

    def predict(self, vector: Array, text: str) -> T:
        return self.read(vector, text)


def read_heads(folder: Path) -> Heads:
    """Return the scorers of ``intents.npz`` and ``gain.npz`` in a folder.

    Raises: InvalidScorerFile for a file that is there and holds no scorer.
    """
    return Heads(intents=_intents(folder / "intents.npz"), gain=_gain(folder / "gain.npz"))


def _intents(path: Path) -> IntentHead | None:
    return read_intents(path) if path.is_file() else None


def _gain(path: Path) -> Gain | None:
    if not path.is_file():
        return None
    arrays = read_scorer(path)
    try:
        return Gain.from_arrays(arrays)
    except (KeyError, ValueError) as error:
        raise InvalidScorerFile(path, f"no gain scorer: {error}") from error


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
