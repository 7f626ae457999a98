"""The ledger of the growth measurement: a past that adds up, and the words said of figures."""

from datetime import timedelta
from pathlib import Path

import pytest

import pointsman.accounting.growth
from pointsman.accounting.adapters.postings import write
from pointsman.accounting.adapters.report import ledger_report, open_ledger
from pointsman.accounting.adapters.tables import open_engine
from pointsman.accounting.domain import posting_of
from pointsman.accounting.growth import FIGURES, growth, main
from pointsman.accounting.history import History


def test_the_made_up_past_is_one_that_adds_up(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    engine = open_engine(url, lock_timeout=timedelta(seconds=5), for_writing=True)
    history = History()

    written = write(engine, history.postings(900))
    told = [posting_of(event) for event in history.events(600)]
    written.rows += write(engine, told).rows
    engine.dispose()

    reader = open_ledger(url)
    report = ledger_report(reader)
    reader.dispose()
    assert sum(written.rows) == history.rows == 1500
    assert report.totals.entries + sum(report.outcomes.values()) == 1500
    assert {"completed", "blocked"} == set(report.outcomes)
    assert report.consistency.cost_mismatches == ()
    assert len(report.consistency.open_requests) <= 2  # the last of either kind


def test_the_command_measures_each_size_and_says_how_it_grew(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointsman.accounting.growth, "MESSAGES", 3)
    assert main(["--rows", "500,2000"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["500", "2,000"]
    assert lines[4].startswith("from 500 to 2,000 rows (4 times as many)")
    assert len(lines) == 5 + len(FIGURES)


def test_what_grows_more_than_it_must_gets_a_reason() -> None:
    before = [1.0] * len(FIGURES)
    after = [3.0 for _ in FIGURES]

    lines = growth({1_000: before, 10_000: after})[1:]

    for figure, line in zip(FIGURES, lines, strict=True):
        assert (figure.why in line) is not figure.per_row  # ten times the rows may cost ten times
