"""Queue, cache and sharing, over a model that a test can hold still."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import numpy as np
import pytest
from structlog.testing import capture_logs

from pointsman.contracts.errors import Retryable
from pointsman.embedding import Array, Encoder
from pointsman.embedding import encoder as encoder_module


class HeldModel:
    """Embeds what it is asked to once ``go`` is set; remembers it, and whether it is open."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()
        self.embedded: list[str] = []
        self.threads: set[int] = set()
        self.is_open = threading.Event()
        self.is_closed = threading.Event()

    def embed(self, text: str) -> Array:
        self.started.set()
        assert self.go.wait(10)
        if text == "poison":
            raise ValueError(text)
        self.embedded.append(text)
        self.threads.add(threading.get_ident())
        return np.full(384, len(text), dtype=np.float32)

    @contextmanager
    def opened(self) -> Generator["HeldModel"]:
        self.is_open.set()
        yield self
        self.is_closed.set()


@pytest.fixture
def model() -> HeldModel:
    return HeldModel()


@asynccontextmanager
async def encoder_of(model: HeldModel, *, cached_vectors: int = 8) -> AsyncGenerator[Encoder]:
    encoder = Encoder(model.opened, cached_vectors=cached_vectors)
    try:
        yield encoder
    finally:
        model.go.set()
        encoder.close()
        assert await asyncio.to_thread(model.is_closed.wait, 10)


async def until_waiting(encoder: Encoder, count: int) -> None:
    """Wait until so many texts are on their way."""
    async with asyncio.timeout(10):
        while len(encoder._waiting) < count:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0)


async def test_texts_get_their_own_vectors_from_one_other_thread(model: HeldModel) -> None:
    texts = ["a" * size for size in range(1, 40)]
    async with encoder_of(model) as encoder:
        vectors = await encoder.embed_all(texts)
    assert [int(vector[0]) for vector in vectors] == [len(text) for text in texts]
    assert model.embedded == texts
    assert len(model.threads - {threading.get_ident()}) == 1


async def test_the_last_texts_are_embedded_once(model: HeldModel) -> None:
    async with encoder_of(model, cached_vectors=2) as encoder:
        for text in ("a", "b", "a", "c", "a", "b"):
            await encoder.embed(text)
    assert model.embedded == ["a", "b", "c", "b"]


async def test_nothing_is_kept_where_nothing_may_be(model: HeldModel) -> None:
    async with encoder_of(model, cached_vectors=0) as encoder:
        await encoder.embed("a")
        await encoder.embed("a")
    assert model.embedded == ["a", "a"]


async def test_a_known_text_does_not_wait_for_the_thread(model: HeldModel) -> None:
    async with encoder_of(model) as encoder:
        first = await encoder.embed("known")
        model.go.clear()
        other = asyncio.create_task(encoder.embed("other"))
        await until_waiting(encoder, 1)
        assert await encoder.embed("known") is first
        assert not other.done()
        model.go.set()
        await other


async def test_the_same_text_at_once_is_embedded_once(model: HeldModel) -> None:
    model.go.clear()
    async with encoder_of(model, cached_vectors=0) as encoder:
        tasks = [asyncio.create_task(encoder.embed("same")) for _ in range(5)]
        await until_waiting(encoder, 1)
        await asyncio.sleep(0)
        model.go.set()
        vectors = await asyncio.gather(*tasks)
    assert model.embedded == ["same"]
    assert all(vector is vectors[0] for vector in vectors)


async def test_one_that_gives_up_leaves_the_vector_to_the_others(model: HeldModel) -> None:
    model.go.clear()
    async with encoder_of(model) as encoder:
        first, second = (asyncio.create_task(encoder.embed("same")) for _ in range(2))
        await until_waiting(encoder, 1)
        await asyncio.sleep(0)
        first.cancel()
        model.go.set()
        assert int((await second)[0]) == 4
        assert first.cancelled()


async def test_when_the_queue_is_full_texts_wait_and_none_is_lost(
    model: HeldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_module, "QUEUED_TEXTS", 3)
    model.go.clear()
    async with encoder_of(model) as encoder:
        texts = [str(number) for number in range(20)]
        tasks = [asyncio.create_task(encoder.embed(text)) for text in texts]
        await until_waiting(encoder, 3)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(encoder._waiting) == 3  # pyright: ignore[reportPrivateUsage]
        model.go.set()
        await asyncio.gather(*tasks)
    assert model.embedded == texts


async def test_a_text_that_fails_fails_alone(model: HeldModel) -> None:
    async with encoder_of(model) as encoder:
        found = await asyncio.gather(
            *(encoder.embed(text) for text in ("a", "poison", "b")), return_exceptions=True
        )
        assert isinstance(found[1], ValueError)
        assert model.embedded == ["a", "b"]
        with pytest.raises(ValueError, match="poison"):
            await encoder.embed("poison")
        assert encoder.problem is None


async def test_loading_is_a_problem_until_it_is_done(model: HeldModel) -> None:
    may_load = threading.Event()

    @contextmanager
    def opened() -> Generator[HeldModel]:
        assert may_load.wait(10)
        with model.opened():
            yield model

    encoder = Encoder(opened, cached_vectors=1)
    assert encoder.problem == "the model is loading"
    waiting = asyncio.create_task(encoder.embed("early"))
    may_load.set()
    assert int((await waiting)[0]) == 5
    assert encoder.problem is None
    encoder.close()


async def test_a_model_that_does_not_load_is_a_problem_and_retryable() -> None:
    @contextmanager
    def opened() -> Generator[HeldModel]:
        raise ImportError("no onnxruntime here")
        yield

    with capture_logs() as logs:
        encoder = Encoder(opened, cached_vectors=1)
        for _ in range(2):
            with pytest.raises(Retryable, match="not loaded"):
                await encoder.embed("hello")
    assert encoder.problem == "the model did not load: ImportError"
    assert [line["event"] for line in logs] == ["embedder.failed"]
    encoder.close()


async def test_closing_lets_go_of_the_model_and_of_those_who_wait(model: HeldModel) -> None:
    model.go.clear()
    encoder = Encoder(model.opened, cached_vectors=1)
    tasks = [asyncio.create_task(encoder.embed(text)) for text in ("running", "queued")]
    await until_waiting(encoder, 2)
    assert await asyncio.to_thread(model.started.wait, 10)
    encoder.close()
    for task in tasks:
        with pytest.raises(Retryable, match="closed"):
            await task
    assert not model.is_closed.is_set()
    model.go.set()
    assert await asyncio.to_thread(model.is_closed.wait, 10)
    assert model.embedded == ["running"], "what had not begun is dropped"


async def test_closing_lets_go_of_those_who_wait_for_room(
    model: HeldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_module, "QUEUED_TEXTS", 1)
    model.go.clear()
    async with encoder_of(model) as encoder:
        tasks = [asyncio.create_task(encoder.embed(text)) for text in ("running", "outside")]
        await until_waiting(encoder, 1)
        await asyncio.sleep(0)
    for task in tasks:
        with pytest.raises(Retryable, match="closed"):
            await task
