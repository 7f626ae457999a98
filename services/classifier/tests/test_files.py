"""The route file on disk and the prototypes' cache."""

import asyncio
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from pointsman.classifier.adapters import (
    Remembered,
    WatchedRoute,
    open_prototypes,
    read_prototype_groups,
)
from pointsman.classifier.domain.ports import Array
from pointsman.routes.source import InvalidRoute

from .doubles import ROUTE, WordHashEmbedder, registry

OTHER = ROUTE.replace("minScore: 8", "minScore: 5")


@pytest.fixture
def route_file(tmp_path: Path) -> Path:
    path = tmp_path / "route.yaml"
    path.write_text(ROUTE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ROUTE.replace("llama-3-8b", "nobody"), "model 'nobody' is not in the registry"),
        (ROUTE.replace("== simple", "== purple"), "never 'purple'"),
        ("", "the file is empty"),
    ],
)
def test_a_bad_first_route_fails_with_its_file_and_reason(
    route_file: Path, text: str, reason: str
) -> None:
    route_file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidRoute) as caught:
        WatchedRoute.open(route_file, registry())
    assert reason in str(caught.value)
    assert str(route_file) in str(caught.value)


def test_a_missing_first_route_fails_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidRoute, match=r"gone\.yaml: the file cannot be read"):
        WatchedRoute.open(tmp_path / "gone.yaml", registry())


def test_a_changed_file_is_in_force_at_the_next_look(route_file: Path) -> None:
    watched = WatchedRoute.open(route_file, registry())
    before = watched.current
    route_file.write_text(OTHER, encoding="utf-8")
    with capture_logs() as logs:
        watched.reload()
        watched.reload()
    assert watched.current.revision != before.revision
    assert [line["event"] for line in logs] == ["route.reloaded"]
    assert logs[0]["revision"] == watched.current.revision


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ROUTE.replace("llama-3-8b", "nobody").encode(), "'nobody'"),
        (b"spec: [", "not YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * 1_100_000, "longer than"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_change_keeps_the_last_good_route_and_says_why(
    route_file: Path, content: bytes | None, reason: str
) -> None:
    watched = WatchedRoute.open(route_file, registry())
    good = watched.current
    if content is None:
        route_file.unlink()
    else:
        route_file.write_bytes(content)
    with capture_logs() as logs:
        watched.reload()
        watched.reload()
    assert watched.current == good
    assert reason in str(watched.problem)
    (line,) = logs
    assert (line["event"], line["kept_revision"]) == ("route.rejected", good.revision)
    route_file.write_text(ROUTE, encoding="utf-8")
    watched.reload()
    assert watched.problem is None


class SignallingRoute(WatchedRoute):
    """Says when it has looked at the file."""

    looked: asyncio.Event
    loop: asyncio.AbstractEventLoop

    def reload(self) -> None:
        super().reload()
        self.loop.call_soon_threadsafe(self.looked.set)


async def test_polling_looks_at_the_file_by_itself(route_file: Path) -> None:
    watched = SignallingRoute.open(route_file, registry())
    watched.looked, watched.loop = asyncio.Event(), asyncio.get_running_loop()
    route_file.write_text(OTHER, encoding="utf-8")
    polling = asyncio.create_task(watched.poll(timedelta(milliseconds=5)))
    async with asyncio.timeout(10):
        await watched.looked.wait()
    polling.cancel()
    assert watched.current.route.spec.evaluator is not None
    assert watched.current.route.spec.evaluator.min_score == 5


def test_the_shipped_prototypes_cover_every_kind() -> None:
    groups = read_prototype_groups()
    texts = [text for group in groups for text in group.texts]
    assert len(set(texts)) == len(texts)
    kinds = {(group.intent, group.needs_tools) for group in groups}
    assert len(kinds) == 4


async def test_prototypes_are_embedded_once_for_each_model(tmp_path: Path) -> None:
    embedder = WordHashEmbedder()
    first = await open_prototypes(embedder, tmp_path)
    embedder.embedded.clear()
    again = await open_prototypes(embedder, tmp_path)
    assert embedder.embedded == []
    assert np.array_equal(first.vectors, again.vectors)
    other = WordHashEmbedder(identity="word-hash-2")
    await open_prototypes(other, tmp_path)
    assert other.embedded


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x93NUMPY\x01\x00"])
async def test_a_broken_cache_is_made_again(tmp_path: Path, content: bytes) -> None:
    first = await open_prototypes(WordHashEmbedder(), tmp_path)
    (cache,) = (tmp_path / "classifier").iterdir()
    cache.write_bytes(content)
    again = await open_prototypes(WordHashEmbedder(), tmp_path)
    assert np.array_equal(first.vectors, again.vectors)


async def test_a_disk_that_cannot_be_written_costs_the_cache_alone(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    known = await open_prototypes(WordHashEmbedder(), blocked)
    texts = [text for group in read_prototype_groups() for text in group.texts]
    assert known.vectors.shape == (len(texts), 384)


def test_the_same_words_are_scored_once_and_the_oldest_are_forgotten() -> None:
    asked: list[str] = []

    def ask(_: Array, text: str) -> int:
        asked.append(text)
        return len(asked)

    vector = np.zeros(384, np.float32)
    scorer = Remembered(ask, size=2)
    assert [scorer.read(vector, text) for text in ("a", "b", "a", "c", "a", "b")] == [
        1,
        2,
        1,
        3,
        1,
        4,
    ]
    assert asked == ["a", "b", "c", "b"]
    forgetful = Remembered(ask, size=0)
    assert forgetful.predict(vector, "a") != forgetful.predict(vector, "a")
