"""The texts that the intent head is trained on and measured with, as the data folder has them."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pointsman.evaluation.vectors import Vectors, vectors_of

CLINC: Final = "clinc150"
BANKING: Final = "banking77"
NLUPP: Final = "nlupp"
URGENCY: Final = "urgency_bugs"
NONE: Final = "oos"

Row = Mapping[str, Any]
Choice = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Labelled texts with their vectors. Shapes: vectors (n, 384), is_train (n,).

    ``intents`` holds ``oos`` where a text is none of the topics.
    """

    texts: tuple[str, ...]
    vectors: Vectors
    intents: NDArray[np.str_]
    domains: NDArray[np.str_]
    is_train: Choice

    def where(self, kept: Choice) -> "Texts":
        return Texts(
            texts=tuple(text for text, is_kept in zip(self.texts, kept, strict=True) if is_kept),
            vectors=self.vectors[kept],
            intents=self.intents[kept],
            domains=self.domains[kept],
            is_train=self.is_train[kept],
        )


def rows_of(folder: Path, name: str) -> list[Row]:
    """Return the rows of one file of the folder; none where it is not there."""
    path = folder / f"{name}.jsonl.gz"
    if not path.is_file():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def labelled(folder: Path, name: str) -> Texts | None:
    """Return the texts of CLINC150 or BANKING77; None where the file is not there."""
    rows = rows_of(folder, name)
    if not rows:
        return None
    texts = tuple(str(row["text"]) for row in rows)
    return Texts(
        texts=texts,
        vectors=vectors_of(texts),
        intents=np.array([str(row["intent"]) for row in rows]),
        domains=np.array([str(row.get("domain", "")) for row in rows]),
        is_train=np.array([row.get("split") == "train" for row in rows]),
    )


# Texts of other kinds than the topics, all of sets whose licence lets weights be shipped.
_OTHERS: Final[Mapping[str, Callable[[Row], str | None]]] = {
    "replay": lambda row: row["prompt"],
    "routellm_mmlu": lambda row: row["prompt"],
    "judge": lambda row: row["question"] if row["set"] in _FREE else None,
}
_FREE: Final = frozenset({"halueval_general", "halueval_qa", "begin_wow"})
_MOST: Final = 3_000


def other_texts(folder: Path, *, seed: int) -> dict[str, tuple[tuple[str, ...], Vectors]]:
    """Return ordinary prompts that have no topic, by file: at most 3,000 different of each."""
    random = np.random.default_rng(seed)
    found: dict[str, tuple[tuple[str, ...], Vectors]] = {}
    for name, text_of in _OTHERS.items():
        every = {text: None for row in rows_of(folder, name) if (text := text_of(row))}
        texts = list(every)
        if len(texts) > _MOST:
            kept: Sequence[int] = sorted(random.choice(len(texts), _MOST, replace=False).tolist())
            texts = [texts[place] for place in kept]
        if texts:
            found[name] = (tuple(texts), vectors_of(texts))
    return found
