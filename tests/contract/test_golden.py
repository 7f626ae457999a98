"""What leaves a process may change only on purpose: the committed goldens say what it is now."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import flow_graph
import message_schemas
import pytest

from pointsman.contracts.flow import UnexpectedFact, next_steps
from pointsman.contracts.messages import Command, Fact
from pointsman.contracts.topology import SERVICES

GOLDEN = Path(__file__).parent / "golden"


def is_golden(name: str, now: str) -> None:
    before = (GOLDEN / name).read_text(encoding="utf-8")
    if before == now:
        return
    changes = difflib.unified_diff(
        before.splitlines(), now.splitlines(), f"golden/{name}", "now", lineterm="", n=2
    )
    pytest.fail(
        f"{name} has changed. If that is meant, run `task golden` and commit the difference:\n"
        + "\n".join(changes),
        pytrace=False,
    )


@pytest.mark.parametrize(
    ("name", "render"),
    [("messages.json", message_schemas.render), ("flow.md", flow_graph.render)],
    ids=["messages", "flow"],
)
def test_the_wire_and_the_graph_are_as_committed(name: str, render: Callable[[], str]) -> None:
    is_golden(name, render())


def test_a_changed_golden_names_the_task_that_updates_it() -> None:
    with pytest.raises(pytest.fail.Exception, match="task golden"):
        is_golden("flow.md", flow_graph.render() + "one more line\n")


def test_every_command_fact_and_frame_has_a_schema() -> None:
    names = {found.__name__ for found in message_schemas.message_types()}
    wanted = {
        part.__name__
        for union in (Command, Fact)
        for member in get_args(union)
        for part in get_args(member) or (member,)
    }
    assert wanted <= names


def test_every_message_says_its_type_and_no_two_say_the_same() -> None:
    tags = [found.model_fields["type"].default for found in message_schemas.message_types()]
    assert len(tags) == len(set(tags))
    assert all("type" in found.model_fields for found in message_schemas.message_types())


def test_the_graph_shows_every_pair_that_the_flow_takes() -> None:
    cases = flow_graph.cases()
    shown = {(type(case.command), type(case.fact)) for case in cases}
    commands = {type(case.command): case.command for case in cases}
    facts = {type(case.fact): case.fact for case in cases}
    taken: set[tuple[type, type]] = set()
    for command in commands.values():
        for fact in facts.values():
            try:
                next_steps(command, fact)
            except UnexpectedFact:
                continue
            taken.add((type(command), type(fact)))
    assert taken == shown
    assert set(facts) == set(get_args(Fact))


def test_the_graph_shows_every_stage() -> None:
    rows = [line.split(" | ")[0].removeprefix("| ") for line in flow_graph.render().splitlines()]
    assert set(SERVICES) <= set(rows)
