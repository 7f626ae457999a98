"""The intent head: its n-grams, its arithmetic, its file."""

from pathlib import Path

import numpy as np
import pytest

from pointsman.scorers.intent_file import read_intents, write_intents
from pointsman.scorers.intents import (
    BUCKETS,
    LONGEST_TOPIC,
    GramProjection,
    IntentHead,
    Net,
    Quantised,
    TopicSet,
    grams_of,
)
from pointsman.scorers.scorer_file import InvalidScorerFile, write_scorer

AXES = 4
VECTOR = 384


def net(classes: int, *, seed: int) -> Net:
    random = np.random.default_rng(seed)
    return Net(
        first=Quantised.of(random.standard_normal((VECTOR + AXES, 8)) / 20),
        first_bias=np.zeros(8, np.float32),
        second=Quantised.of(random.standard_normal((8, classes))),
        second_bias=np.zeros(classes, np.float32),
    )


def topic_set(*topics: str, bias: float = 0.0, seed: int = 0) -> TopicSet:
    return TopicSet(
        topics=topics,
        domains=("even", "odd"),
        domain_of=np.arange(len(topics)) % 2,
        nets=(net(len(topics), seed=seed), net(len(topics) + 1, seed=seed + 1)),
        scope=(0.0, 0.0, bias),
    )


def head(*sets: TopicSet) -> IntentHead:
    random = np.random.default_rng(9)
    landmarks = random.standard_normal((3, VECTOR)).astype(np.float32)
    return IntentHead(
        projection=GramProjection(
            rarity=np.ones(BUCKETS, np.float32),
            axes=Quantised.of(random.standard_normal((BUCKETS, AXES))),
        ),
        sets=sets or (topic_set("a", "b", "c"),),
        landmarks=landmarks / np.linalg.norm(landmarks, axis=1, keepdims=True),
        far=0.3,
    )


def unit(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = np.random.default_rng(seed).standard_normal(VECTOR).astype(np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def test_n_grams_are_the_words_their_pairs_and_the_letters_within_a_word() -> None:
    # Words 2, pairs 1; of " ab cde ": 7 of two letters, 5 of three, 3 of four, 1 of five.
    assert grams_of("ab cde").counts.sum() == 2 + 1 + 7 + 5 + 3 + 1


def test_case_and_marks_do_not_matter_but_order_does() -> None:
    plain = grams_of("where is my card")
    assert np.array_equal(plain.buckets, grams_of("Where is my card?!").buckets)
    assert not np.array_equal(plain.buckets, grams_of("card my is where").buckets)


@pytest.mark.parametrize("text", ["", " ", "?!", "a", "日本語のテキスト", "\x00", "x" * 100_000])
def test_any_text_has_a_place_among_the_axes(text: str) -> None:
    projected = head().projection.project(grams_of(text))
    assert projected.shape == (AXES,)
    assert np.isfinite(projected).all()


def test_a_matrix_in_eight_bits_is_off_by_half_a_step_at_most() -> None:
    matrix = np.random.default_rng(0).standard_normal((50, 6))
    close = Quantised.of(matrix)
    assert np.abs(close.matrix - matrix).max() <= close.scale.max() / 2 + 1e-6


def test_a_reading_adds_up_and_repeats() -> None:
    ours = head()
    read = ours.read(unit(1), "where is my card")
    assert read == ours.read(unit(1), "where is my card")
    assert 1 / 3 <= read.probability <= 1
    assert read.domain_probability >= read.probability
    assert read.in_scope == pytest.approx(0.5)


def test_the_set_whose_scope_the_text_is_in_names_the_topic() -> None:
    doubtful, sure = topic_set("a", "b", bias=2.0), topic_set("c", "d", bias=-2.0, seed=5)
    read = head(doubtful, sure).read(unit(2), "hello")
    assert read.topic in {"c", "d"}
    assert read.in_scope == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6)


def test_a_landmark_is_as_near_as_can_be() -> None:
    ours = head()
    assert ours.read(ours.landmarks[1], "x").nearest == pytest.approx(1, abs=1e-6)


def test_a_long_text_is_none_of_the_topics_but_may_be_near_what_is_known() -> None:
    ours = head(topic_set("a", "b", bias=-9.0))
    assert ours.read(unit(1), "x" * LONGEST_TOPIC).topic in {"a", "b"}
    long = ours.read(ours.landmarks[0], "x" * (LONGEST_TOPIC + 1))
    assert (long.topic, long.in_scope) == ("", 0.0)
    assert long.nearest == pytest.approx(1, abs=1e-6)


def test_many_rows_score_as_one_by_one() -> None:
    ours = head()
    vectors, texts = np.stack([unit(1), unit(2)]), ["one text", "another"]
    together = ours.sets[0].scores(ours.inputs(vectors, texts))[0]
    alone = [
        ours.sets[0].scores(ours.inputs(vector[None], [text]))[0][0]
        for vector, text in zip(vectors, texts, strict=True)
    ]
    assert together == pytest.approx(np.stack(alone), abs=1e-5)
    # The mean of log-probabilities is below the log of their mean.
    assert (np.exp(together).sum(axis=1) <= 1 + 1e-5).all()


def test_a_head_that_was_written_reads_alike_and_is_the_same_bytes(tmp_path: Path) -> None:
    ours = head(topic_set("a", "b"), topic_set("c", "d", "e", seed=3))
    for name in ("first.npz", "second.npz"):
        write_intents(tmp_path / name, ours)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
    theirs = read_intents(tmp_path / "first.npz")
    for seed in range(5):
        was, now = ours.read(unit(seed), "hello there"), theirs.read(unit(seed), "hello there")
        assert (was.topic, was.domain) == (now.topic, now.domain)
        assert now.probability == pytest.approx(was.probability, abs=1e-5)
        assert now.nearest == pytest.approx(was.nearest, abs=1e-3)


def test_a_file_of_something_else_says_what_is_missing(tmp_path: Path) -> None:
    write_scorer(tmp_path / "other.npz", {"weights": np.zeros(3)})
    with pytest.raises(InvalidScorerFile, match=r"other\.npz: no intent head: 'rarity'"):
        read_intents(tmp_path / "other.npz")
