"""Training and measuring the intent head, on a folder of made-up texts small enough to train on."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pointsman.evaluation import intents, intents_data, intents_fit
from pointsman.evaluation.intents_net import Recipe, soft_targets, train_net
from pointsman.scorers.intent_file import read_intents

WORDS = {
    "weather": ("rain", "sun", "wind"),
    "card": ("card", "pin", "visa"),
    "flight": ("plane", "seat", "airport"),
}


@pytest.fixture(autouse=True)
def word_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of words, so that no model is needed."""

    def vectors_of(
        texts: tuple[str, ...] | list[str],
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return np.stack([_vector(text) for text in texts])

    monkeypatch.setattr(intents_data, "vectors_of", vectors_of)
    monkeypatch.setattr(intents, "vectors_of", vectors_of)
    monkeypatch.setattr(intents_fit, "AXES", 8)
    small = Recipe(hidden=32, batch=32)
    monkeypatch.setattr(intents_fit, "_TOPICS", replace(small, smoothing=0.1))
    monkeypatch.setattr(intents_fit, "_SCOPE", small)


def _vector(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    parts = [
        np.random.default_rng(list(word.encode())).standard_normal(384) for word in text.split()
    ]
    total = np.sum(parts, axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


def rows(split: str, *, seed: int) -> list[dict[str, str]]:
    random = np.random.default_rng(seed)
    made = [
        {
            "text": f"{random.choice(words)} {random.choice(words)} please {number}",
            "intent": topic,
            "domain": topic,
            "split": split,
        }
        for topic, words in WORDS.items()
        for number in range(60)
    ]
    strange = [
        {"text": f"zebra{number} quark{seed}", "intent": "oos", "domain": "oos", "split": split}
        for number in range(30)
    ]
    return made + strange


def write(folder: Path, name: str, lines: list[dict[str, str]]) -> None:
    with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    write(data, "clinc150", rows("train", seed=1) + rows("val", seed=2))
    return data


def test_a_network_learns_what_it_is_shown_and_repeats() -> None:
    random = np.random.default_rng(0)
    inputs = random.standard_normal((400, 20)).astype(np.float32)
    classes = (inputs[:, 0] > 0).astype(np.int64)
    targets = soft_targets(classes, 2, 0.0)
    recipe = Recipe(hidden=32, epochs=40, batch=40, rate=0.01, drop=(0.0, 0.2))
    trained = [train_net(inputs, targets, recipe, seed=3) for _ in range(2)]
    assert (trained[0].scores(inputs).argmax(axis=1) == classes).mean() > 0.95
    assert np.array_equal(trained[0].scores(inputs), trained[1].scores(inputs))


def test_smoothed_targets_add_up_to_one() -> None:
    wanted = soft_targets(np.array([0, 2, -1]), 4, 0.1)
    assert wanted.sum(axis=1) == pytest.approx([1, 1, 1])
    assert wanted[0].tolist() == pytest.approx([0.925, 0.025, 0.025, 0.025])
    assert wanted[2].tolist() == pytest.approx([0.25] * 4)


def test_the_same_folder_is_the_same_bytes_and_names_its_topics(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("first.npz", "second.npz"):
        intents_fit.fit_intents(folder, tmp_path / name)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
    head = read_intents(tmp_path / "first.npz")
    assert head.sets[0].topics == ("card", "flight", "weather")
    assert head.read(_vector("visa pin please 3"), "visa pin please 3").topic == "card"


def test_the_report_measures_what_is_there_and_names_what_is_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {row.name: row for row in intents.intents_report(folder, folder)}
    assert found["CLINC150 accuracy"].value > 90
    assert found["CLINC150 out-of-scope AUROC"].value > 0.8
    assert "train part to the rest" in found["CLINC150 accuracy"].note
    assert found["CPU per request, all signals beyond the vector"].value > 0
    assert "BANKING77 accuracy" not in found
    assert "no banking77.jsonl.gz" in capsys.readouterr().out


def test_a_folder_without_topics_is_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert intents.intents_report(tmp_path, tmp_path) == []
    assert "neither clinc150 nor banking77 is there" in capsys.readouterr().out
