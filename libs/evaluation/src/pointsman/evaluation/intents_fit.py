"""Trains the intent head on CLINC150 and BANKING77: ``python -m pointsman.evaluation.intents_fit``.

Owns the recipe. The chance of being out of scope is calibrated on texts that the networks did not
see: they are trained on the train part and asked about the rest, then trained again on all of it.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression
from sklearn.utils import extmath
from threadpoolctl import threadpool_limits

from pointsman.evaluation.intents_data import (
    BANKING,
    CLINC,
    NONE,
    Choice,
    Texts,
    labelled,
    other_texts,
)
from pointsman.evaluation.intents_net import Recipe, soft_targets, train_net
from pointsman.evaluation.vectors import Vectors
from pointsman.scorers.intent_file import write_intents
from pointsman.scorers.intents import (
    BUCKETS,
    GramProjection,
    Grams,
    IntentHead,
    Net,
    Quantised,
    TopicSet,
    grams_of,
    join_inputs,
)

SHIPPED: Final = Path("services/classifier/src/pointsman/classifier/weights/intents.npz")
SEED: Final = 20
AXES: Final = 128
_TOPICS = Recipe(smoothing=0.1)
_SCOPE = Recipe()
# The few texts that are labelled out of scope count as often as a topic's.
_REPEATED: Final = 4
_MOST_BESIDE: Final = 2_000
_HELD_OUT: Final = 0.2
_NEAR_BANKING: Final = ("banking", "credit_cards")
_LANDMARKS: Final = 64

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Material:
    """The topics' texts, and texts of other kinds that none of the topics should claim.

    Shapes: others (m, d) inputs; other_vectors (m, 384), an array for each file.
    """

    sets: dict[str, Texts]
    projection: GramProjection
    inputs: dict[str, Floats]
    others: Floats
    other_vectors: tuple[Vectors, ...]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What one set's networks are trained on. Class -1: labelled as none of the topics.

    Shapes: inputs (n, d), classes (n,), beside (m, d).
    """

    inputs: Floats
    classes: NDArray[np.int64]
    beside: Floats

    def where(self, kept: Choice, kept_beside: Choice) -> "Rows":
        return Rows(
            inputs=self.inputs[kept], classes=self.classes[kept], beside=self.beside[kept_beside]
        )


def fit_intents(data: Path, out: Path) -> None:
    """Train on every row of the folder and write the head. Same folder, same bytes."""
    write_intents(out, trained(data, every_row=True))


def trained(data: Path, *, every_row: bool) -> IntentHead:
    """Return a head of the folder's texts: all of them, or the train part alone.

    Raises: FileNotFoundError where neither data set is there.
    """
    material = _material(data, every_row=every_row)
    # Sums over several threads differ in their last bits from run to run.
    with threadpool_limits(limits=1):
        sets = tuple(_topic_set(name, material) for name in material.sets)
        landmarks, far = _landmarks(material)
    return IntentHead(projection=material.projection, sets=sets, landmarks=landmarks, far=far)


def _material(data: Path, *, every_row: bool) -> Material:
    found = {name: texts for name in (CLINC, BANKING) if (texts := labelled(data, name))}
    if not found:
        raise FileNotFoundError(f"{data}: neither {CLINC} nor {BANKING} is there")
    if not every_row:
        found = {name: texts.where(texts.is_train) for name, texts in found.items()}
    grams = {name: [grams_of(text) for text in texts.texts] for name, texts in found.items()}
    projection = _projection([one for ours in grams.values() for one in ours])
    others = other_texts(data, seed=SEED)
    words = [text for texts, _ in others.values() for text in texts]
    vectors = tuple(vectors for _, vectors in others.values())
    together = np.concatenate([np.zeros((0, 384), np.float32), *vectors])
    return Material(
        sets=found,
        projection=projection,
        inputs={
            name: _inputs(projection, texts.vectors, grams[name]) for name, texts in found.items()
        },
        others=_inputs(projection, together, [grams_of(text) for text in words]),
        other_vectors=vectors,
    )


def _inputs(projection: GramProjection, vectors: Vectors, grams: Sequence[Grams]) -> Floats:
    if not grams:
        return np.zeros((0, 384 + AXES), np.float32)
    return join_inputs(vectors, np.stack([projection.project(one) for one in grams]))


def _projection(grams: Sequence[Grams]) -> GramProjection:
    """Return the main axes of the texts' n-grams: a truncated singular value decomposition."""
    buckets = np.concatenate([one.buckets for one in grams])
    held = np.bincount(buckets, minlength=BUCKETS)
    rarity = np.where(held > 0, np.log((1 + len(grams)) / (1 + held)) + 1, 0).astype(np.float16)
    values = [(1 + np.log(one.counts)) * rarity[one.buckets].astype(np.float32) for one in grams]
    values = [value / max(1e-6, float(np.linalg.norm(value))) for value in values]
    starts = np.cumsum([0, *(len(one.buckets) for one in grams)])
    table = csr_matrix((np.concatenate(values), buckets, starts), shape=(len(grams), BUCKETS))
    decompose = cast("Any", extmath).randomized_svd  # its types are not declared
    with threadpool_limits(limits=1):
        axes: Floats = decompose(table, AXES, n_iter=3, random_state=SEED)[2]
    return GramProjection(rarity=rarity.astype(np.float32), axes=Quantised.of(axes.T))


def _topic_set(name: str, material: Material) -> TopicSet:
    """Return one set's networks, trained on all its texts, with their doubts weighed."""
    texts = material.sets[name]
    topics = tuple(sorted({*texts.intents.tolist()} - {NONE}))
    domain_by_topic = dict(zip(texts.intents.tolist(), texts.domains.tolist(), strict=True))
    domains = tuple(sorted({domain_by_topic[topic] for topic in topics}))
    number = {topic: place for place, topic in enumerate(topics)}
    rows = Rows(
        inputs=material.inputs[name],
        classes=np.array([number.get(intent, -1) for intent in texts.intents.tolist()]),
        beside=_beside(name, material),
    )
    wholly = TopicSet(
        topics=topics,
        domains=domains,
        domain_of=np.array([domains.index(domain_by_topic[topic]) for topic in topics]),
        nets=(),
        scope=(1.0, 1.0, 0.0),
    )
    held = np.random.default_rng(SEED).random(len(rows.classes)) < _HELD_OUT
    held_beside = np.random.default_rng(SEED).random(len(rows.beside)) < _HELD_OUT
    part = replace(wholly, nets=_nets(rows.where(~held, ~held_beside), len(topics)))
    scope = _scope(part, rows.where(held, held_beside))
    return replace(wholly, nets=_nets(rows, len(topics)), scope=scope)


def _beside(name: str, material: Material) -> Floats:
    """Return texts that are none of the set's topics: other prompts, and far topics' texts."""
    random = np.random.default_rng(SEED)
    found = [material.others]
    if name == BANKING and (clinc := material.sets.get(CLINC)):
        found.append(material.inputs[CLINC][~np.isin(clinc.domains, _NEAR_BANKING)])
    return np.concatenate(
        [one[random.permutation(len(one))[:_MOST_BESIDE]] for one in found if len(one)]
        or [material.others]
    )


def _nets(rows: Rows, topics: int) -> tuple[Net, Net]:
    """Return the network that tells the topics apart, and the one that knows what is none."""
    known = soft_targets(rows.classes, topics, _TOPICS.smoothing)
    near = rows.inputs[rows.classes < 0]
    inputs = np.concatenate([rows.inputs, *[near] * (_REPEATED - 1), rows.beside])
    classes = np.full(len(inputs), topics)
    classes[: len(rows.classes)] = np.where(rows.classes < 0, topics, rows.classes)
    return (
        train_net(rows.inputs, known, _TOPICS, seed=SEED),
        train_net(inputs, soft_targets(classes, topics + 1, 0.0), _SCOPE, seed=SEED + 1),
    )


def _scope(part: TopicSet, held: Rows) -> tuple[float, float, float]:
    """Return how the doubts of texts that were not seen tell that they are out of scope.

    Texts labelled out of scope and those of other kinds count the same, and both as much as the
    topics' texts: how often each comes is not known.
    """
    doubts = part.scores(np.concatenate([held.inputs, held.beside]))[1]
    near = np.flatnonzero(held.classes < 0)
    far = np.arange(len(held.classes), len(doubts))
    is_none = np.zeros(len(doubts), np.int64)
    weight = np.ones(len(doubts)) / max(1, int((held.classes >= 0).sum()))
    kinds = [rows for rows in (near, far) if len(rows)]
    if not kinds:
        return (1.0, 1.0, 0.0)
    for rows in kinds:
        is_none[rows] = 1
        weight[rows] = 1 / len(rows) / len(kinds)
    regression: Any = LogisticRegression(C=100.0)  # its types are not declared
    fitted = regression.fit(doubts, is_none, sample_weight=1_000 * weight)
    first, last = np.asarray(fitted.coef_)[0].tolist()
    return (first, last, float(np.asarray(fitted.intercept_)[0]))


def _landmarks(material: Material) -> tuple[Floats, float]:
    """Return the middles of each topic and of groups of other prompts, and how far they reach.

    A text is as likely new as known where one in a hundred known texts, held out, is as far away.
    """
    middles: list[Floats] = []
    held: list[Floats] = []
    for texts in material.sets.values():
        kept = np.random.default_rng(SEED).random(len(texts.texts)) >= _HELD_OUT
        held.append(texts.vectors[~kept & (texts.intents != NONE)])
        middles += [
            texts.vectors[kept & (texts.intents == topic)].mean(axis=0, keepdims=True)
            for topic in sorted({*texts.intents[kept].tolist()} - {NONE})
        ]
    for vectors in material.other_vectors:
        kept = np.random.default_rng(SEED).random(len(vectors)) >= _HELD_OUT
        held.append(vectors[~kept])
        groups: Any = MiniBatchKMeans(
            min(_LANDMARKS, int(kept.sum())), random_state=SEED, batch_size=1_024
        )
        middles.append(np.asarray(groups.fit(vectors[kept]).cluster_centers_, np.float32))
    landmarks = np.concatenate(middles)
    landmarks /= np.linalg.norm(landmarks, axis=1, keepdims=True)
    nearest = [(vectors @ landmarks.T).max(axis=1) for vectors in held if len(vectors)]
    far = float(np.mean([np.percentile(one, 1) for one in nearest]))
    return landmarks.astype(np.float32), far


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the intent head and write it.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/routing"))
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        raise SystemExit(f"{options.data}: no such folder; nothing was trained")
    fit_intents(options.data, options.out)
    size = options.out.stat().st_size
    sys.stdout.write(f"{options.out}: {size / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main()
