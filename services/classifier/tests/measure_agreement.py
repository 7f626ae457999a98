"""Do requests go the same way with the served int8 model as with sentence-transformers?

    python services/classifier/tests/measure_agreement.py [--data FOLDER] [--rows N]

Not a test: takes minutes, and data that is not shipped. Each runtime brings its own prototypes, as
it would if it served; the route and the registry are the laptop's.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from measure_signals import EMBEDDER, SETS, asked, sample, shipped

from pointsman.classifier.adapters import read_prototype_groups
from pointsman.classifier.domain.ports import Array
from pointsman.classifier.domain.prototypes import prototypes
from pointsman.classifier.domain.signals import read_signals
from pointsman.classifier.domain.wording import embedded_part
from pointsman.contracts.parts import RouteDecision, Signals
from pointsman.embedding import opened
from pointsman.embedding.reference import load_reference, reference_vectors
from pointsman.routes.decision import decide
from pointsman.routes.registry import ModelRegistry, load_registry
from pointsman.routes.source import RouteRevision, load_route

CONFIG = Path("loadgen/config")
REQUEST_ID = "00000000-0000-7000-8000-000000000001"

Embed = Callable[[Sequence[str]], Array]


@dataclass(frozen=True, kw_only=True)
class Read:
    """What one runtime makes of one request."""

    signals: Signals
    decision: RouteDecision


COMPARED: dict[str, Callable[[Read], object]] = {
    "target and use_tools": lambda read: (read.decision.target, read.decision.use_tools),
    "target": lambda read: read.decision.target,
    "use_tools": lambda read: read.decision.use_tools,
    "intent": lambda read: read.signals.intent,
    "domain": lambda read: read.signals.domain,
    "urgency": lambda read: read.signals.urgency,
    "needs tools": lambda read: read.signals.tool_need >= 0.5,
}


def requests(folder: Path, rows: int) -> dict[str, list[str]]:
    """Return texts by data set: the classifier's own sets, and those that ask for tools."""
    found = {
        data_set.name: [text for text, _ in sample(folder / "routing", data_set, "held-out", rows)]
        for data_set in SETS
    }
    with (folder / "toolrag" / "queries.jsonl").open(encoding="utf-8") as lines:
        texts = [row["query"] for line in lines if (row := json.loads(line))["split"] == "dev"]
    return found | {"toolrag, dev": texts[:: max(1, len(texts) // (2 * rows))]}


def read_all(
    texts: Sequence[str], embed: Embed, route: RouteRevision, registry: ModelRegistry
) -> tuple[Array, list[Read]]:
    groups = read_prototype_groups()
    known = shipped(prototypes(groups, embed([text for group in groups for text in group.texts])))
    vectors = embed([embedded_part(text) for text in texts])
    signals = [
        read_signals(asked(t), t, vector, known) for t, vector in zip(texts, vectors, strict=True)
    ]
    return vectors, [
        Read(
            signals=one,
            decision=decide(
                route,
                registry,
                one,
                request_id=REQUEST_ID,
                requested_model="auto",
                has_own_tools=False,
            ),
        )
        for one in signals
    ]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--rows", default=150, show_default=True, help="Rows of each set.")
def main(data: Path, rows: int) -> None:
    """Print how often int8 on ONNX Runtime decides as sentence-transformers does."""
    if not data.is_dir():
        raise click.ClickException(f"no data: {data} is not there (--data FOLDER)")
    by_set = requests(data, rows)
    texts = list(dict.fromkeys(text for found in by_set.values() for text in found))
    route = load_route((CONFIG / "route.yaml").read_text(encoding="utf-8"))
    registry = load_registry(CONFIG / "models.yaml")
    reference = load_reference()
    theirs, wanted = read_all(texts, lambda t: reference_vectors(reference, t), route, registry)
    with opened(EMBEDDER) as model:
        ours, found = read_all(
            texts, lambda t: np.stack([model.embed(text) for text in t]), route, registry
        )
    cosines = (ours * theirs).sum(axis=1)
    click.echo(f"requests {len(texts)}, cosine mean {cosines.mean():.4f} min {cosines.min():.4f}")
    for name, value in COMPARED.items():
        same = [value(a) == value(b) for a, b in zip(found, wanted, strict=True)]
        click.echo(f"same {name:22} {sum(same) / len(same):.4f}")
    at = {text: place for place, text in enumerate(texts)}
    for data_set in SETS:
        if data_set.intent:
            rows_at = [at[text] for text in by_set[data_set.name]]
            click.echo(
                f"intent {data_set.intent} {data_set.name:24} "
                f"int8 {_right(found, rows_at, data_set.intent):.3f} "
                f"fp32 {_right(wanted, rows_at, data_set.intent):.3f}"
            )


def _right(read: Sequence[Read], rows: Sequence[int], intent: str) -> float:
    return sum(read[row].signals.intent == intent for row in rows) / len(rows)


if __name__ == "__main__":
    main()
