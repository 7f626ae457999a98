"""Vectors for an event loop: a few threads that embed, a queue before them, a cache in front.

A text that is known costs one look-up and no thread. Texts that wait at the same moment wake the
threads once, and what they finish while the loop is busy comes back in one call.
"""

import asyncio
import hashlib
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog

from pointsman.contracts.errors import Retryable
from pointsman.embedding.artefact import identity
from pointsman.embedding.model import MODEL, Array, opened

log = structlog.get_logger()

QUEUED_TEXTS = 256
"""So many texts wait for the threads; more wait before the queue, in their order."""

CROWD = 16
TOGETHER = 12
"""While a crowd waits, vectors go back a dozen at a time: what follows a vector (a model call, its
answer, what is stored) takes half as much CPU where several requests do it together."""

_CLOSED = "the embedding model is closed"


class EmbedsOne(Protocol):
    """What the thread runs: ``Model``, or a test's double."""

    def embed(self, text: str) -> Array: ...


OpenModel = Callable[[], AbstractContextManager[EmbedsOne]]


@asynccontextmanager
async def open_encoder(
    folder: Path, *, cached_vectors: int, threads: int = 1
) -> AsyncGenerator["Encoder"]:
    """Embed with the model of ``folder``, which loads in the background and is made if absent."""
    encoder = Encoder(partial(opened, folder), cached_vectors=cached_vectors, threads=threads)
    try:
        yield encoder
    finally:
        encoder.close()


class Encoder:
    """Texts to vectors, off the event loop it was made in."""

    model = MODEL

    def __init__(self, open_model: OpenModel, *, cached_vectors: int, threads: int = 1) -> None:
        self._cached_vectors = cached_vectors
        self._cache: OrderedDict[bytes, Array] = OrderedDict()
        self._waiting: dict[bytes, list[asyncio.Future[Array]]] = {}
        self._finished: deque[tuple[bytes, Future[Array]]] = deque()
        self._is_delivering = False
        self._is_closed = False
        self._room = asyncio.Semaphore(QUEUED_TEXTS)
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="encoder")
        self._held = ExitStack()
        self._loading: Future[EmbedsOne] = self._threads.submit(self._load, open_model)
        self._loading.add_done_callback(_say_if_failed)

    @property
    def identity(self) -> str:
        """Changes whenever the vectors would."""
        return identity()

    @property
    def problem(self) -> str | None:
        """Why texts cannot be embedded at once; None when they can."""
        if not self._loading.done():
            return "the model is loading"
        failure = self._loading.exception()
        return f"the model did not load: {type(failure).__name__}" if failure else None

    async def embed(self, text: str) -> Array:
        """Return the vector of ``text``, shape (384,), float32, L2-normalised, read-only.

        Raises: Retryable if the model cannot be used now.
        """
        # Not the words: what people wrote is not kept in memory.
        key = hashlib.sha256(text.encode()).digest()
        known = self._known(key)
        if known is not None:
            return known
        async with self._room:
            # While it waited for room, the same text may have come back for another.
            known = self._known(key)
            return await self._embedded(key, text) if known is None else known

    async def embed_all(self, texts: Sequence[str]) -> Array:
        """Return the vectors of ``texts``, shape (n, 384)."""
        return np.stack(await asyncio.gather(*(self.embed(text) for text in texts)))

    def close(self) -> None:
        """Drop what waits; a text being embedded finishes in a few milliseconds."""
        self._is_closed = True
        # Behind whatever waits; a text that is being embedded meanwhile holds the model itself.
        self._threads.submit(self._let_go)
        self._threads.shutdown(wait=False)
        for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
            if not waiter.done():
                waiter.set_exception(Retryable(_CLOSED))

    def _let_go(self) -> None:
        wait((self._loading,))
        self._held.close()

    def _known(self, key: bytes) -> Array | None:
        known = self._cache.get(key)
        if known is not None:
            self._cache.move_to_end(key)
        return known

    async def _embedded(self, key: bytes, text: str) -> Array:
        if self._is_closed:
            raise Retryable(_CLOSED)
        # A future for each: one that gives up does not take the vector from the others.
        waiter: asyncio.Future[Array] = self._loop.create_future()
        waiters = self._waiting.get(key)
        if waiters is None:
            self._waiting[key] = [waiter]
            self._threads.submit(self._vector, text).add_done_callback(partial(self._finish, key))
        else:
            waiters.append(waiter)
        return await waiter

    def _load(self, open_model: OpenModel) -> EmbedsOne:
        return self._held.enter_context(open_model())

    def _vector(self, text: str) -> Array:
        if self._is_closed:
            raise Retryable(_CLOSED)
        # Waits for the model where another thread still loads it.
        failure = self._loading.exception()
        if failure is not None:
            raise Retryable("the embedding model is not loaded") from failure
        return self._loading.result().embed(text)

    def _finish(self, key: bytes, done: Future[Array]) -> None:
        """Runs on the thread. After ``close`` nobody waits, and the loop may be gone."""
        self._finished.append((key, done))
        if self._is_delivering or self._is_closed:
            return
        behind = len(self._waiting) - len(self._finished)
        if behind >= CROWD and len(self._finished) < TOGETHER:
            return  # What comes next delivers this one too.
        self._is_delivering = True
        self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # Before the deque is emptied, so that what is finished meanwhile calls again.
        self._is_delivering = False
        while self._finished:
            self._settle(*self._finished.popleft())

    def _settle(self, key: bytes, done: Future[Array]) -> None:
        waiters = self._waiting.pop(key)
        failure = done.exception()
        if failure is None:
            self._keep(key, done.result())
        for waiter in waiters:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(done.result())
            else:
                waiter.set_exception(failure)

    def _keep(self, key: bytes, vector: Array) -> None:
        self._cache[key] = vector
        while len(self._cache) > self._cached_vectors:
            self._cache.popitem(last=False)


def _say_if_failed(loading: Future[EmbedsOne]) -> None:
    failure = loading.exception()
    if failure is not None:
        log.error("embedder.failed", error=type(failure).__name__, detail=str(failure))
