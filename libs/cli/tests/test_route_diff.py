"""``pointsman route diff``: who would move, what it would cost, and what nobody can know."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pointsman.cli.main import main
from pointsman.contracts.messages import Event

from .recorded_values import (
    NEW,
    NOW,
    OLD,
    REGISTRY,
    answered,
    classified,
    context,
    executed,
    signals,
    write,
    write_batch,
    write_events,
)

TO_UNSEEN = OLD.replace("model: large", "model: unseen")
BY_TIER = OLD.replace(
    "  targets:\n",
    "  targets:\n  - {model: large, priority: 9, condition: metadata.tier == gold}\n",
)


def run(folder: Path, events: Path | str, *more: str, old: str = OLD, new: str = NEW) -> Result:
    arguments = [
        *("route", "diff"),
        str(write(folder, "old.yaml", old)),
        str(write(folder, "new.yaml", new)),
        *("--events", str(events)),
        *("--registry", str(write(folder, "models.yaml", REGISTRY))),
        *more,
    ]
    return CliRunner().invoke(main, arguments)


def compared(
    folder: Path,
    *events: Iterable[Event],
    old: str = OLD,
    new: str = NEW,
    more: tuple[str, ...] = (),
) -> Mapping[str, Any]:
    result = run(folder, write_events(folder, *events), "--json", *more, old=old, new=new)
    assert result.exit_code == 0, result.output
    document: Mapping[str, Any] = json.loads(result.output)
    return document


def test_moves_are_counted_by_model_with_the_conditions_responsible(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        answered("small"),
        answered("small", complexity=0.5),
        answered("small", complexity=0.9),
        answered("large", intent="complex", complexity=0.8),
    )
    assert (found["requests"], found["same"], found["moved"]) == (4, 2, 2)
    assert found["moved_percent"] == 50.0
    (move,) = found["moves"]
    assert (move["old_model"], move["new_model"], move["requests"]) == ("small", "large", 2)
    assert found["causes"] == [
        {
            "old_target": "small",
            "old_reason": "intent == simple",
            "new_target": "large",
            "new_reason": "complexity >= 0.4",
            "requests": 2,
        }
    ]


def test_a_moved_request_costs_its_own_prompt_and_the_mean_answer(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        answered("small", (100, 50), seconds=0.5, complexity=0.5),
        answered("large", (10, 200), seconds=2.0, intent="complex", complexity=0.8),
        answered("large", (10, 300), seconds=4.0, intent="complex", complexity=0.8),
    )
    (move,) = found["moves"]
    assert Decimal(move["cost"]["old_usd"]) == Decimal("0.000001") * 100 + Decimal("0.000002") * 50
    assert Decimal(move["cost"]["new_usd"]) == Decimal("0.00001") * 100 + Decimal("0.00003") * 250
    assert Decimal(move["cost"]["delta_usd"]) == Decimal("0.0083")
    assert (move["latency"]["old_s"], move["latency"]["new_s"]) == (0.5, 3.0)
    assert found["latency"]["old_s"] == pytest.approx(6.5 / 3)
    assert found["latency"]["new_s"] == pytest.approx(3.0)
    assert found["cost"]["old_from"] == {"recorded": 3}
    assert found["cost"]["new_from"] == {"recorded": 2, "mean": 1}
    means = {each["model"]: each for each in found["models"]}
    assert (means["large"]["answers"], means["large"]["mean_output_tokens"]) == (2, 250.0)


def test_where_the_new_model_answered_it_is_what_was_recorded(tmp_path: Path) -> None:
    """The small model's answer was weak, so the large one answered, too."""
    first, attempt = answered("small", (100, 50), complexity=0.5)
    later = executed(
        first.context, "large", (180, 400), seconds=7, attempt=2, role="escalation", because="low"
    )
    second = executed(first.context, "unseen", (1, 1), attempt=3, role="sibling")
    found = compared(tmp_path, [first, attempt, later, second])
    (move,) = found["moves"]
    assert Decimal(move["cost"]["new_usd"]) == Decimal("0.00001") * 180 + Decimal("0.00003") * 400
    assert move["latency"]["new_s"] == 7.0
    assert found["cost"]["new_from"] == {"recorded": 1}
    figures = {each["model"]: each for each in found["models"]}
    assert (figures["small"]["first_attempts"], figures["small"]["escalated"]) == (1, 1)
    assert "unseen" not in figures


def test_calls_of_tools_and_the_answer_after_them_are_one_answer(tmp_path: Path) -> None:
    about = context()
    found = compared(
        tmp_path,
        [
            classified(about, signals(), "small"),
            executed(about, "small", (100, 20), seconds=1, status="planned"),
            executed(about, "small", (300, 80), seconds=2, attempt=2, role="continuation"),
        ],
    )
    assert Decimal(found["cost"]["old_usd"]) == Decimal("0.0006")
    assert found["latency"]["old_s"] == 3.0
    assert found["models"][0]["answers"] == 1


def test_a_model_nobody_saw_has_no_latency_and_its_registrys_length(tmp_path: Path) -> None:
    events = write_events(tmp_path, answered("large", (100, 50), intent="complex", complexity=0.8))
    found = json.loads(run(tmp_path, events, "--json", new=TO_UNSEEN).output)
    assert Decimal(found["cost"]["new_usd"]) == Decimal("0.0001") * (100 + 700)
    assert found["cost"]["new_from"] == {"registry": 1}
    assert found["latency"]["new_from"] == {"unknown": 1}
    assert [found["latency"][name] for name in ("old_s", "new_s", "delta_s")] == [None] * 3
    assert (found["latency"]["requests"], found["latency"]["unknown"]) == (0, 1)
    printed = run(tmp_path, events, new=TO_UNSEEN).output
    assert "unknown" in printed
    assert "typical output tokens 1" in printed


def test_a_request_that_nobody_answered_counts_its_estimated_prompt(tmp_path: Path) -> None:
    about, lost = context(), context()
    found = compared(
        tmp_path,
        answered("small", (10, 50)),
        [classified(about, signals(context_tokens=400), "small")],
        [classified(lost, signals(), "small")],
    )
    assert found["requests"] == 3
    assert found["cost"]["old_from"] == {"recorded": 1, "mean": 1, "unknown": 1}
    assert (found["cost"]["requests"], found["cost"]["unknown"]) == (2, 1)
    assert Decimal(found["cost"]["old_usd"]) == Decimal("0.00011") + Decimal("0.0005")


def test_each_side_has_the_prices_of_its_registry(tmp_path: Path) -> None:
    dearer = REGISTRY.replace("0.000001", "0.000003").replace("0.000002", "0.000006")
    path = write(tmp_path, "new_models.yaml", dearer)
    found = compared(tmp_path, answered("small"), new=OLD, more=("--registry-new", str(path)))
    assert found["moved"] == 0
    assert Decimal(found["cost"]["new_usd"]) == 3 * Decimal(found["cost"]["old_usd"])


def test_pinned_requests_and_shadows_copies_are_left_out(tmp_path: Path) -> None:
    pinned = {"role": "pinned", "requested_model": "small"}
    copy = answered("large", complexity=0.9, context={"shadow_of": context().request_id})
    found = compared(
        tmp_path, answered("small", complexity=0.9, inputs=pinned), answered("small"), copy
    )
    assert (found["requests"], found["pinned"], found["moved"]) == (1, 1, 0)
    assert found["shadow_events"] == 2
    assert [each["model"] for each in found["models"]] == ["small"]


def test_a_key_that_the_recorded_route_did_not_ask_for_is_no_answer(tmp_path: Path) -> None:
    """Under BY_TIER the key was asked for: one that is not there was absent."""
    found = compared(
        tmp_path,
        answered("small"),
        answered("small", inputs={"route": BY_TIER}),
        answered("large", inputs={"route": BY_TIER, "metadata": {"tier": "gold"}}),
        # Of this route only the record tells that it asked for the key.
        answered("large", inputs={"route": "another", "metadata": {"tier": "gold"}}),
        answered("small", inputs={"route": "another"}),
        new=BY_TIER,
    )
    assert found["undecided"] == 1
    assert found["cannot_tell"] == {"metadata.tier": 1}
    assert (found["requests"], found["moved"]) == (4, 2)


def test_what_was_decided_otherwise_then_is_told(tmp_path: Path) -> None:
    found = compared(
        tmp_path, answered("small"), answered("large", inputs={"route": "an older one"})
    )
    assert (found["drifted"], found["other_revision"]) == (1, 1)
    printed = run(tmp_path, tmp_path / "events.jsonl").output
    assert "1 requests were decided otherwise when they came" in printed


@pytest.mark.parametrize(
    ("limit", "code"), [((), 0), (("--fail-over", "50"), 0), (("--fail-over", "49.9"), 2)]
)
def test_too_many_moves_fail_a_pull_request(
    tmp_path: Path, limit: tuple[str, ...], code: int
) -> None:
    events = write_events(tmp_path, answered("small"), answered("small", complexity=0.9))
    result = run(tmp_path, events, *limit)
    assert result.exit_code == code
    assert ("over 49.9 %" in result.output) == (code == 2)


def test_an_event_counts_once_however_it_is_stored(tmp_path: Path) -> None:
    events = [*answered("small"), *answered("small", complexity=0.9)]
    batch = write_batch(tmp_path, events)
    both = tmp_path / "both.jsonl"
    lines = write_events(tmp_path, reversed(events)).read_bytes()
    both.write_bytes(lines + b"\n" + batch.read_bytes() + lines)
    outputs = [run(tmp_path, path, "--json").output for path in (batch, both)]
    assert outputs[0] == outputs[1]
    assert json.loads(outputs[0])["requests"] == 2


def test_since_leaves_out_whole_requests(tmp_path: Path) -> None:
    before = {"accepted_at": NOW - timedelta(hours=30)}
    events = write_events(tmp_path, answered("small"), answered("small", context=before))
    found = json.loads(run(tmp_path, events, "--json", "--since", "24h").output)
    assert found["requests"] == 1
    assert run(tmp_path, events, "--since", "yesterday").exit_code == 2


def test_tables_say_the_same_as_the_document(tmp_path: Path) -> None:
    events = write_events(
        tmp_path,
        answered("small", (100, 50), complexity=0.5),
        answered("large", (10, 200), intent="complex", complexity=0.8),
    )
    printed = run(tmp_path, events).output
    for said in ("1 moved", "50.00", "+0.006800", "intent == simple", "complexity >= 0.4"):
        assert said in printed
    assert "the mean of the model's recorded answers 1" in printed
    assert "0 of 2 first answers were escalated; what the judge would say of an answer" in printed


def test_conditions_are_printed_as_they_are_written(tmp_path: Path) -> None:
    listed = NEW.replace("complexity >= 0.4", "'intent in [complex, simple]'")
    events = write_events(tmp_path, answered("small", complexity=0.9))
    assert "intent in [complex, simple]" in run(tmp_path, events, new=listed).output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no events"),
        (b"\n\n", "no events"),
        (b'{"type":"events","events":[]}\n', "no events"),
        (b'\n{"type": "event"}\n', "line 2: no event"),
        (b"not json\n", "line 1: no event"),
        (b"\xff\xfe\n", "line 1: no event"),
    ],
)
def test_a_file_without_events_is_refused_in_one_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    result = run(tmp_path, path)
    assert result.exit_code == 1
    assert said in result.output
    assert str(path) in result.output
    assert result.output.count("\n") == 1


def test_events_without_a_routed_request_are_refused(tmp_path: Path) -> None:
    result = run(tmp_path, write_events(tmp_path, [executed(context(), "small")]))
    assert result.exit_code == 1
    assert "none of 1 events says how a request was routed" in result.output


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        result = run(tmp_path, path)
        assert result.exit_code == 1
        assert result.output.startswith(f"Error: {path}: ")


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_route_that_cannot_be_used_is_refused_with_its_place(tmp_path: Path, side: str) -> None:
    routes = {side: OLD.replace("intent == simple", "intent = simple")}
    result = run(tmp_path, write_events(tmp_path, answered("small")), **routes)
    assert result.exit_code == 1
    assert f"{side}.yaml: error: spec.targets[0].condition (line 7, column" in result.output
    assert "^" in result.output
