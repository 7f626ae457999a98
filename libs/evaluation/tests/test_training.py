"""Training on made data: two files and their cards, the same bytes each time, from allowed rows."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointsman.classifier.domain.gain import Gain
from pointsman.evaluation import training, vectors
from pointsman.evaluation.vectors import Vectors, vectors_of
from pointsman.judge.domain.acceptance import Acceptance, inputs_of
from pointsman.judge.domain.answer_signs import answer_signs
from pointsman.scorers.scorer_file import read_scorer

MODELS = (
    "llama-3-8b-instruct", "llama-3.1-8b-instruct", "phi-3-mini-4k", "gemini-1.5-pro-002", "gpt-4o",
)  # fmt: skip


def answer(*, right: bool) -> dict[str, Any]:
    text = f"{'It is plain. ' if right else 'Perhaps, it seems. ' * 9}The answer is (A)."
    return {"text": text, "extracted": "A", "correct": right, "output_tokens": len(text) // 4}


def recording(number: int) -> dict[str, Any]:
    return {
        "id": f"q{number}",
        "category": "law",
        "prompt": f"Question {number}?\n(A) one\n(B) two",
        "prompt_tokens": 20,
        "answers": {model: answer(right=(number + at) % 3 > 0) for at, model in enumerate(MODELS)},
    }


def chat(number: int, *, group: str = "halueval_general") -> dict[str, Any]:
    return {
        "set": group,
        "question": f"Tell me about thing {number}.",
        "answer": "It is a thing of many sides.",
        "label": int(number % 5 == 0),
    }


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in rows)


def made_vectors(texts: Sequence[str]) -> Vectors:
    return np.random.default_rng(0).normal(0, 0.05, (len(texts), 384)).astype(np.float32)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(training, "vectors_of", made_vectors)
    write(tmp_path / "replay.jsonl.gz", [recording(number) for number in range(220)])
    rows = [chat(number) for number in range(220)]
    write(tmp_path / "judge.jsonl.gz", rows)
    return tmp_path


def test_training_twice_gives_the_same_bytes_and_reads_no_other_set(data: Path) -> None:
    one, two = data / "one", data / "two"

    training.train_scorers(data, classifier=one, judge=one)
    felm = [chat(number, group="felm_math") for number in range(300)]
    write(data / "judge.jsonl.gz", [chat(number) for number in range(220)] + felm)
    training.train_scorers(data, classifier=two, judge=two)

    names = sorted(path.name for path in one.iterdir())
    assert names == ["ACCEPTANCE_CARD.md", "GAIN_CARD.md", "acceptance.npz", "gain.npz"]
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_what_is_written_is_what_production_reads(data: Path) -> None:
    training.train_scorers(data, classifier=data, judge=data)
    acceptance = Acceptance.from_arrays(read_scorer(data / "acceptance.npz"))
    question = "Question 3?\n(A) one\n(B) two"

    def of(*, right: bool) -> float:
        signs = answer_signs(question, answer(right=right)["text"])
        return acceptance.estimate(inputs_of(signs)).acceptable

    assert of(right=True) > 0.8 > 0.2 > of(right=False)
    gain = Gain.from_arrays(read_scorer(data / "gain.npz"))
    assert 0 < gain.predict(made_vectors([""])[0], question).weak < 1


def test_every_head_is_written_where_its_service_reads_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Made data teaches no intents; how these two fit is tested beside them.
    fitted: list[tuple[str, Path, Path]] = []
    for name in ("fit_support", "fit_intents"):

        def fit(read: Path, out: Path, name: str = name) -> None:
            fitted.append((name, read, out))

        monkeypatch.setattr(training, name, fit)
    classifier, judge = data / "classifier", data / "judge"

    training.train(data, classifier=classifier, judge=judge)

    assert fitted == [
        ("fit_support", data, judge),
        ("fit_intents", data, classifier / "intents.npz"),
    ]
    assert (classifier / "gain.npz").is_file()
    assert (judge / "acceptance.npz").is_file()


def test_too_little_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(training.NothingToLearn, match="0 recordings, 0 chat rows"):
        training.train(tmp_path, classifier=tmp_path, judge=tmp_path)


def test_vectors_are_made_once_for_a_list_of_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    async def embed(parts: Sequence[str], embedder: Path) -> Vectors:
        asked.append(list(parts))
        return np.arange(len(parts) * 384, dtype=np.float32).reshape(-1, 384)

    monkeypatch.setattr(vectors, "_embed", embed)
    first = vectors_of(["a", "b" * 5_000, ""], cache=tmp_path)
    again = vectors_of(["a", "b" * 5_000, ""], cache=tmp_path)
    vectors_of(["b", "a"], cache=tmp_path)

    assert np.array_equal(first, again)
    assert len(asked) == 2
    # Long texts are cut as the classifier cuts them, and an empty one is still embedded.
    assert len(asked[0][1]) < 1_300
    assert asked[0][2] == " "
    assert vectors_of([], cache=tmp_path).shape == (0, 384)
