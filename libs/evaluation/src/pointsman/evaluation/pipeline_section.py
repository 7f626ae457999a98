"""The pipeline's rows of ``task eval:routing``: a sample of ``--test`` through the whole platform.

Owns the folder of heads that platform and twin decide with: learned from ``--train``, and beside
them what is shipped and no row of this sample depends on.
"""

import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click

from pointsman.evaluation.figures import Row
from pointsman.evaluation.pipeline import SAMPLE, pipeline_report
from pointsman.evaluation.pipeline_comparison import PipelineReport, Totals
from pointsman.evaluation.pipeline_sample import NothingToSample
from pointsman.evaluation.recordings import FILE
from pointsman.evaluation.training import NothingToLearn, train_scorers

AGREEMENT = "share of requests on which pipeline and twin agree"
HEADED = ("pointsman.classifier", "pointsman.judge")
"""The packages that ship heads, in a folder ``weights`` of their own."""


def pipeline_rows(learned_from: Path, test: Path, *, sample: int = SAMPLE) -> list[Row]:
    """Return the comparison's rows. Where they disagree, both sides are said on stderr.

    Raises: InvalidRecordings, InvalidScorerFile.
    """
    missing = [folder for folder in (learned_from, test) if not (folder / FILE).is_file()]
    if missing:
        return [_unmeasured(f"{FILE} is absent in {missing[0]}")]
    try:
        with tempfile.TemporaryDirectory(prefix="pointsman-heads-") as folder:
            heads = heads_from(learned_from, Path(folder))
            report = pipeline_report(heads, test, sample)
    except (NothingToLearn, NothingToSample) as error:
        return [_unmeasured(str(error))]
    if not report.agrees:
        click.echo("\n".join(report.lines()), err=True)
    return rows_of(report, is_in_sample=learned_from.resolve() == test.resolve())


def heads_from(data: Path, folder: Path) -> Path:
    """Fill ``folder`` with every head that a service reads, trained on ``data`` where one can be.

    Raises: NothingToLearn, InvalidRecordings.
    """
    for package in HEADED:
        spec = find_spec(package)
        for origin in spec.submodule_search_locations or () if spec else ():
            for shipped in (Path(origin) / "weights").glob("*.npz"):
                shutil.copy(shipped, folder)
    train_scorers(data, classifier=folder, judge=folder)
    return folder


def rows_of(report: PipelineReport, *, is_in_sample: bool = False) -> list[Row]:
    """Return the figures of both sides; the strong model alone is the baseline.

    ``is_in_sample`` says that the heads have learned from these very rows: the accuracy is then no
    measurement, and its note says so.
    """
    learned = "; in sample: the heads know these rows" if is_in_sample else ""
    count, strong = len(report.rows), report.always_strong
    agreed = count - len(report.disagreements)
    note = f"{agreed} of {count}; {report.route}; intents and support as shipped"
    rows = [Row(name=AGREEMENT, value=agreed / count, goal=1.0, moonshot=1.0, note=note)]
    for side, totals in (("pipeline", report.pipeline), ("offline", report.offline)):
        rows += [
            Row(
                name=f"{side}: accuracy",
                value=totals.correct / count,
                baseline=strong.correct / count,
                note=f"{report.route.strong} asked {totals.strong_asked}, returned"
                f" {totals.strong}{learned}",
            ),
            Row(
                name=f"{side}: tokens in and out",
                value=_tokens(totals),
                baseline=_tokens(strong),
                better="lower",
                note=f"{totals.loops_cut} loops cut, {totals.tokens_not_said:,} tokens not said",
            ),
            Row(
                name=f"{side}: dollars",
                value=float(totals.cost_usd),
                baseline=float(strong.cost_usd),
                better="lower",
                unit="USD",
            ),
        ]
    return rows


def _tokens(totals: Totals) -> float:
    return float(totals.input_tokens + totals.output_tokens)


def _unmeasured(why: str) -> Row:
    return Row(name=AGREEMENT, value=float("nan"), goal=1.0, note=why)
