"""Trains a network of one hidden layer. Knows no data set; NumPy alone, so it repeats exactly."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsman.scorers.intents import Net, Quantised

Floats = NDArray[np.float32]

_WARM_UP = 0.1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained. ``drop``: the share of inputs and of hidden units left out."""

    hidden: int = 384
    epochs: int = 30
    batch: int = 128
    rate: float = 2e-3
    decay: float = 1e-4
    drop: tuple[float, float] = (0.2, 0.5)
    smoothing: float = 0.0


def train_net(inputs: Floats, targets: Floats, recipe: Recipe, *, seed: int) -> Net:
    """Return the network that gives each row the probabilities in ``targets``.

    Shapes: inputs (n, d), targets (n, k). Adam with decoupled decay, a warm-up and a cosine.
    Source: arXiv 1711.05101.
    """
    random = np.random.default_rng(seed)
    weights = _first_weights(inputs.shape[1], recipe.hidden, targets.shape[1], random)
    mean = [np.zeros_like(one) for one in weights]
    square = [np.zeros_like(one) for one in weights]
    batches = len(inputs) // recipe.batch
    step, steps = 0, recipe.epochs * batches
    for _ in range(recipe.epochs):
        order = random.permutation(len(inputs))
        for batch in range(batches):
            rows = order[batch * recipe.batch : (batch + 1) * recipe.batch]
            slopes = _slopes(weights, inputs[rows], targets[rows], recipe, random)
            step += 1
            _step(weights, slopes, mean, square, step, _rate(step / steps, recipe.rate), recipe)
    return Net(
        first=Quantised.of(weights[0]),
        first_bias=weights[1],
        second=Quantised.of(weights[2]),
        second_bias=weights[3],
    )


def soft_targets(classes: NDArray[np.int64], count: int, smoothing: float) -> Floats:
    """Return the probabilities wanted of each row; a row of class -1 wants all alike."""
    wanted = np.full((len(classes), count), smoothing / count, np.float32)
    wanted[classes < 0] = 1 / count
    known = np.flatnonzero(classes >= 0)
    wanted[known, classes[known]] += 1 - smoothing
    return wanted


def _first_weights(
    inputs: int, hidden: int, outputs: int, random: np.random.Generator
) -> list[Floats]:
    return [
        random.normal(0, 0.7 * math.sqrt(2 / inputs), (inputs, hidden)).astype(np.float32),
        np.zeros(hidden, np.float32),
        random.normal(0, 0.5 * math.sqrt(1 / hidden), (hidden, outputs)).astype(np.float32),
        np.zeros(outputs, np.float32),
    ]


def _slopes(
    weights: list[Floats],
    inputs: Floats,
    targets: Floats,
    recipe: Recipe,
    random: np.random.Generator,
) -> list[Floats]:
    """Return the gradient of the mean cross-entropy of one batch, by weight."""
    first, first_bias, second, second_bias = weights
    seen = inputs * _kept(inputs.shape, recipe.drop[0], random)
    sums = seen @ first + first_bias
    kept = _kept(sums.shape, recipe.drop[1], random)
    hidden = np.maximum(sums, 0) * kept
    scores = hidden @ second + second_bias
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    error = (chances - targets) / np.float32(len(inputs))
    back = (error @ second.T) * kept * (sums > 0)
    return [seen.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]


def _kept(shape: tuple[int, ...], drop: float, random: np.random.Generator) -> Floats:
    kept = random.random(shape, np.float32) > drop
    return kept.astype(np.float32) / np.float32(1 - drop)


def _rate(done: float, most: float) -> float:
    if done < _WARM_UP:
        return most * done / _WARM_UP
    return most * (0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP))) + 1e-3)


def _step(
    weights: list[Floats],
    slopes: list[Floats],
    mean: list[Floats],
    square: list[Floats],
    step: int,
    rate: float,
    recipe: Recipe,
) -> None:
    for place, slope in enumerate(slopes):
        mean[place] *= np.float32(0.9)
        mean[place] += np.float32(0.1) * slope
        square[place] *= np.float32(0.999)
        square[place] += np.float32(0.001) * slope * slope
        size = np.sqrt(square[place] / np.float32(1 - 0.999**step)) + np.float32(1e-8)
        pull = np.float32(recipe.decay) * weights[place]
        weights[place] -= np.float32(rate) * (mean[place] / np.float32(1 - 0.9**step) / size + pull)
