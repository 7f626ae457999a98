"""How well the signals do on public data. Not a test: takes seconds, and data that is not shipped.

    python services/classifier/tests/measure_signals.py [--data FOLDER] [--rows N] [--half held-out]

The weights in ``domain/signals.py`` were fitted on the development half; figures are for the other.
"""

import asyncio
import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import click
import numpy as np

from pointsman.classifier.adapters import BatchEmbedder, open_prototypes, read_heads
from pointsman.classifier.domain.prototypes import Prototypes
from pointsman.classifier.domain.reading import Known
from pointsman.classifier.domain.signals import read_signals
from pointsman.classifier.domain.wording import embedded_part
from pointsman.classifier.settings import Settings
from pointsman.contracts.chat import ChatRequest, Message
from pointsman.contracts.parts import Signals
from pointsman.embedding import open_encoder

EMBEDDER = Path(".state/embedder")

Row = dict[str, Any]
Intent = Literal["simple", "complex"]
Half = Literal["development", "held-out"]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Rows of one file, the intent they should get (None: no label), and the words of a row."""

    name: str
    file: str
    intent: Intent | None
    words: Callable[[Row], str]
    keep: Callable[[Row], bool] = lambda _: True


def _text(row: Row) -> str:
    return str(row["text"])


def _prompt(row: Row) -> str:
    return str(row["prompt"])


def _judged(name: str, intent: Intent | None) -> DataSet:
    return DataSet(
        name=name,
        file="judge",
        intent=intent,
        words=lambda row: row["question"],
        keep=lambda row: row["set"] == name,
    )


SETS = (
    DataSet(name="clinc150", file="clinc150", intent="simple", words=_text),
    DataSet(name="banking77", file="banking77", intent="simple", words=_text),
    _judged("begin_wow", "simple"),
    _judged("halueval_qa", "simple"),
    DataSet(name="replay, with options", file="replay", intent="complex", words=_prompt),
    DataSet(
        name="replay, question alone",
        file="replay",
        intent="complex",
        words=lambda row: _prompt(row).split("\n(A)")[0],
    ),
    _judged("felm_math", "complex"),
    _judged("felm_reasoning", "complex"),
    _judged("halueval_general", None),
)


def asked(text: str) -> ChatRequest:
    """A request of one user, who says this."""
    return ChatRequest(model="auto", messages=(Message(role="user", content=text),))


def shipped(known: Prototypes) -> Known:
    """The sentences, with the scorers that the package ships."""
    heads = read_heads(Settings().heads_dir)
    return Known(prototypes=known, intents=heads.intents, gain=heads.gain)


def half_of(text: str) -> Half:
    even = hashlib.sha256(f"x{text}".encode()).digest()[0] % 2 == 0
    return "development" if even else "held-out"


def sample(folder: Path, data_set: DataSet, half: Half, rows: int) -> list[tuple[str, Row]]:
    with gzip.open(folder / f"{data_set.file}.jsonl.gz", "rt", encoding="utf-8") as file:
        found = {data_set.words(row): row for row in map(json.loads, file) if data_set.keep(row)}
    kept = sorted(
        (text for text in found if half_of(text) == half),
        key=lambda text: hashlib.sha256(text.encode()).hexdigest(),
    )
    return [(text, found[text]) for text in kept[:rows]]


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The chance that a positive scores above a negative; ties count half."""
    positive = np.array([s for s, label in zip(scores, labels, strict=True) if label])
    negative = np.array([s for s, label in zip(scores, labels, strict=True) if not label])
    wins = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    return float(wins)


async def measure(folder: Path, half: Half, rows: int) -> None:
    async with open_encoder(EMBEDDER, cached_vectors=0) as encoder:
        with TemporaryDirectory() as state_dir:
            known = shipped(await open_prototypes(encoder, Path(state_dir)))
        await _print(folder, half, rows, encoder, known)


async def _print(folder: Path, half: Half, rows: int, encoder: BatchEmbedder, known: Known) -> None:
    right: list[float] = []
    for data_set in SETS:
        pairs = sample(folder, data_set, half, rows)
        vectors = await encoder.embed_all([embedded_part(text) for text, _ in pairs])
        read = [
            read_signals(asked(text), text, vector, known)
            for (text, _), vector in zip(pairs, vectors, strict=True)
        ]
        share = _share(read, data_set.intent or "complex")
        if data_set.intent:
            right.append(share)
        tools = sum(signals.tool_need >= 0.5 for signals in read) / len(read)
        label = f"intent {data_set.intent}" if data_set.intent else "no label; complex"
        line = f"{data_set.name:24} n={len(read):4}  {label:18} {share:.3f}  tools {tools:.3f}"
        if data_set.file == "replay":
            wrong = [not row["answers"]["llama-3-8b-instruct"]["correct"] for _, row in pairs]
            ranked = auroc([signals.complexity for signals in read], wrong)
            line += f"  AUROC(complexity, llama-3-8b wrong) {ranked:.3f}"
        click.echo(line)
    click.echo(f"intent, mean over the labelled sets: {sum(right) / len(right):.3f}")


def _share(read: list[Signals], intent: str) -> float:
    return sum(signals.intent == intent for signals in read) / len(read)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data/routing"))
@click.option("--rows", default=150, show_default=True, help="Rows of each set.")
@click.option("--half", type=click.Choice(["development", "held-out"]), default="held-out")
def main(data: Path, rows: int, half: Half) -> None:
    """Print the share of right intents and of requests that would get tools, by data set."""
    if not data.is_dir():
        raise click.ClickException(f"no data: {data} is not there (--data FOLDER)")
    asyncio.run(measure(data, half, rows))


if __name__ == "__main__":
    main()
