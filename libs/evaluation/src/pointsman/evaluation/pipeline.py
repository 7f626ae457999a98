"""Sends recorded prompts through the whole platform and through its offline twin, and compares.

Owns the composition and the command. An evaluation of a whole set calls the same functions without
a platform; this shows, for a sample, that the platform decides the same.

    python -m pointsman.evaluation.pipeline --test DIR --sample 60
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from pointsman.cli.platform import laptop_overrides
from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import SERVICES
from pointsman.evaluation.pipeline_comparison import Compared, PipelineReport
from pointsman.evaluation.pipeline_passage import Passage, differences
from pointsman.evaluation.pipeline_platform import Files, platform_passages, request_of
from pointsman.evaluation.pipeline_route import CascadeRoute
from pointsman.evaluation.pipeline_sample import NothingToSample, sampled
from pointsman.evaluation.pipeline_twin import open_twin
from pointsman.loadgen.recordings import (
    InvalidRecordings,
    Recording,
    Recordings,
    read_recordings,
)
from pointsman.scorers.scorer_file import InvalidScorerFile

SAMPLE = 60
RECORDINGS = "replay.jsonl.gz"


class UnknownSetting(LookupError):
    """A setting that the sample needs is one of no service: it would change nothing."""


def pipeline_report(
    train_heads: Path | None,
    test: Path,
    sample: int = SAMPLE,
    *,
    seed: int = 0,
    route: CascadeRoute | None = None,
    state_dir: Path = Path(".state"),
) -> PipelineReport:
    """Send a sample of the recordings in ``test`` both ways and compare.

    ``train_heads`` is a folder of trained heads, those shipped without it. ``state_dir`` holds the
    embedding model and the tool catalogue, which are only read.
    Raises: InvalidRecordings, NothingToSample; UnknownSetting where no service takes heads,
    InvalidScorerFile where one that does cannot use them.
    """
    chosen = route or CascadeRoute()
    path = test / RECORDINGS if test.is_dir() else test
    recordings = read_recordings(path)
    rows = sampled(recordings, chosen, sample, seed=seed)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pointsman-pipeline-") as folder:
        files = _files(Path(folder), path, chosen, _settings(state_dir, train_heads))
        compared = asyncio.run(_compared(rows, recordings, files))
    return PipelineReport(
        route=chosen, file=path.name, rows=compared, duration_s=time.monotonic() - begun
    )


async def _compared(
    rows: Sequence[Recording], recordings: Recordings, files: Files
) -> tuple[Compared, ...]:
    pipeline = await platform_passages(rows, files)
    settings = laptop_overrides(
        nats_url="nats://127.0.0.1:9",  # The twin has no bus; its services only carry the setting.
        state_dir=files.state_dir,
        registry_path=files.registry,
        route_path=files.route,
        **files.overrides,
    )
    async with open_twin(settings, recordings) as twin:
        return tuple(
            [
                _compare(row, passage, await twin.passage(request_of(row), passage.context))
                for row, passage in zip(rows, pipeline, strict=True)
            ]
        )


def _compare(recording: Recording, pipeline: Passage, offline: Passage) -> Compared:
    return Compared(
        recording=recording,
        pipeline=pipeline,
        offline=offline,
        differences=differences(pipeline, offline),
    )


def _files(
    folder: Path, recordings: Path, route: CascadeRoute, overrides: Mapping[str, Any]
) -> Files:
    registry, route_file = folder / "registry.yaml", folder / "route.yaml"
    registry.write_text(route.registry_text(), encoding="utf-8")
    route_file.write_text(route.route_text(), encoding="utf-8")
    return Files(
        state_dir=folder / "state",
        registry=registry,
        route=route_file,
        recordings=recordings,
        overrides=overrides,
    )


def _settings(state_dir: Path, train_heads: Path | None) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "log_level": "error",
        "log_format": "json",
        "embedder_dir": state_dir / "embedder",
        "catalogue_dir": state_dir / "catalogue",
    }
    if train_heads is None:
        return settings
    if not services_with("heads_dir"):
        raise UnknownSetting("no service has the setting heads_dir")
    return settings | {"heads_dir": train_heads}


def services_with(field: str) -> tuple[ServiceName, ...]:
    """Return the services that have a setting of this name."""
    return tuple(
        name
        for name in SERVICES
        if field in import_module(f"pointsman.{name}.settings").Settings.model_fields
    )


@click.command()
@click.option(
    "--test",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help=f"Folder that holds {RECORDINGS}, or the file.",
)
@click.option("--sample", type=click.IntRange(min=1), default=SAMPLE, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Another seed, other rows.")
@click.option(
    "--train-heads",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Folder of trained heads; the shipped ones without it.",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=Path(".state"),
    show_default=True,
    help="Folder of the embedding model and the tool catalogue.",
)
@click.option("--json", "out", type=click.Path(path_type=Path), default=None, help="Write here.")
def main(
    test: Path, sample: int, seed: int, train_heads: Path | None, state_dir: Path, out: Path | None
) -> None:
    """Compare the platform with its offline twin; exit status 1 if they disagree."""
    try:
        report = pipeline_report(train_heads, test, sample, seed=seed, state_dir=state_dir)
    except (InvalidRecordings, InvalidScorerFile, NothingToSample, UnknownSetting) as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(report.lines()))
    if out is not None:
        out.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    raise SystemExit(0 if report.agrees else 1)


if __name__ == "__main__":
    main()
