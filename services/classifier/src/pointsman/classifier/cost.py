"""What a request costs here, by its length: ``python -m pointsman.classifier.cost``.

Owns the table and a fake encoder: every vector is there at once, as in a cache. What the model
takes is measured in ``libs/embedding``.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from pointsman.classifier.adapters import Heads, read_heads, read_prototype_groups
from pointsman.classifier.domain.features import features
from pointsman.classifier.domain.ports import DIMENSIONS, Array
from pointsman.classifier.domain.prototypes import prototypes
from pointsman.classifier.domain.reading import Known, read
from pointsman.classifier.domain.signals import read_signals, signals_of
from pointsman.classifier.domain.wording import request_text
from pointsman.classifier.handler import Deps, classify
from pointsman.classifier.settings import Settings
from pointsman.contracts.chat import ChatRequest, Message
from pointsman.contracts.messages import Classify
from pointsman.contracts.parts import RequestContext
from pointsman.routes.decision import decide
from pointsman.routes.registry import load_registry
from pointsman.routes.source import RouteRevision, load_route

LENGTHS: Final = (50, 220, 1_000, 10_000, 100_000)
REPEATS: Final = 20
STAGES: Final = (
    "text", "features", "prototypes", "intents", "gain", "rows", "signals", "decide", "all",
)  # fmt: skip
HEADING: Final = "characters " + " ".join(f"{name:>10}" for name in STAGES)


class AtHand:
    """An encoder that has every vector at hand. Not a model: the vectors mean nothing."""

    model = "none"
    problem = None

    def __init__(self) -> None:
        self.vector = unit_vectors(1, seed=1)[0]

    async def embed(self, text: str) -> Array:
        del text
        return self.vector


@dataclass(frozen=True, kw_only=True)
class FixedRoute:
    """A route that nobody changes."""

    current: RouteRevision
    problem: str | None = None


def unit_vectors(rows: int, *, seed: int) -> Array:
    """Return random L2-normalised vectors, always the same. Shapes: (rows, 384)."""
    vectors = np.random.default_rng(seed).standard_normal((rows, DIMENSIONS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One row of the table: milliseconds of CPU a request, the median over the prompts.

    ``signals`` is features to rows, ``all`` is the handler from command to fact.
    """

    characters: int
    stages: Mapping[str, float]

    def __str__(self) -> str:
        cells = " ".join(f"{self.stages[name]:>10.3f}" for name in STAGES)
        return f"{self.characters:>10} {cells}"


def open_deps(route_path: Path, registry_path: Path, heads: Heads) -> Deps:
    """Return what the handler needs, with the shipped sentences and no model."""
    registry = load_registry(registry_path)
    groups = read_prototype_groups()
    return Deps(
        embedder=AtHand(),
        known=Known(
            prototypes=prototypes(groups, unit_vectors(sum(len(g.texts) for g in groups), seed=0)),
            intents=heads.intents,
            gain=heads.gain,
        ),
        route=FixedRoute(current=load_route(route_path.read_text(encoding="utf-8"))),
        registry=registry,
    )


def measured(deps: Deps, prompts: Sequence[str]) -> Cost:
    """Run every stage on every prompt, each at its best of some repeats."""
    costs = [_stages(deps, command_of(prompt)) for prompt in prompts]
    return Cost(
        characters=len(prompts[0]),
        stages={name: median(cost[name] for cost in costs) for name in STAGES},
    )


def _stages(deps: Deps, command: Classify) -> dict[str, float]:
    text = request_text(command.request)
    vector = unit_vectors(1, seed=1)[0]
    known, request = deps.known, command.request
    signals = read_signals(request, text, vector, known)
    reading = read(request, text, vector, known)
    runs: dict[str, Callable[[], object]] = {
        "text": lambda: request_text(command.request),
        "features": lambda: features(text),
        "prototypes": lambda: known.prototypes.nearness(vector),
        "intents": lambda: known.intents and known.intents.read(vector, text),
        "gain": lambda: known.gain and known.gain.predict(vector, text),
        "rows": lambda: signals_of(reading),
        "signals": lambda: read_signals(request, text, vector, known),
        "decide": lambda: decide(deps.route.current, deps.registry, signals, request_id="r"),
        "all": lambda: _finished(classify(command, deps=deps)),
    }
    return {name: _best_ms(run) for name, run in runs.items()}


def _best_ms(run: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        run()
        best = min(best, time.process_time() - started)
    return 1000 * best


def _finished(work: Coroutine[Any, Any, object]) -> object:
    # Nothing here waits, so no event loop is needed and none is in the figures.
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("the handler waited for something")


def command_of(prompt: str) -> Classify:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Classify(
        context=RequestContext(
            request_id="00000000-0000-7000-8000-000000000001",
            namespace="cost",
            ingress="cost",
            accepted_at=now,
            deadline=now + timedelta(minutes=1),
        ),
        request=ChatRequest(model="auto", messages=(Message(role="user", content=prompt),)),
    )


def read_prompts(folder: Path, length: int, count: int) -> list[str]:
    """Return ``count`` pieces of real prompts, each of ``length`` characters."""
    with gzip.open(folder / "replay.jsonl.gz", "rt", encoding="utf-8") as lines:
        text = "\n\n".join(str(json.loads(line)["prompt"]) for line in lines)
    step = (len(text) - length) // count
    return [text[at : at + length] for at in range(0, step * count, step)]


def main(arguments: list[str] | None = None) -> None:
    settings = Settings()
    parser = argparse.ArgumentParser(description="Print what one request costs, by its length.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/routing"))
    parser.add_argument("--route", type=Path, default=settings.route_path)
    parser.add_argument("--registry", type=Path, default=settings.registry_path)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="characters")
    parser.add_argument("--prompts", type=int, default=30, help="real prompts of each length")
    options = parser.parse_args(arguments)
    if not (options.data / "replay.jsonl.gz").is_file():
        raise SystemExit(f"{options.data}: no replay.jsonl.gz here; nothing was measured")
    deps = open_deps(options.route, options.registry, read_heads(settings.heads_dir))
    _say(f"ms of CPU a request with its vector at hand: best of {REPEATS}, median of the prompts")
    _say("signals = features + prototypes + intents + gain + rows; all = from command to fact")
    _say(HEADING)
    for length in options.lengths:
        _say(str(measured(deps, read_prompts(options.data, length, options.prompts))))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
