"""``pointsman route validate``: what CI sees of a route before it is in force."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pointsman.cli.main import main
from pointsman.testing.registry import write_registry

SLIDE = """\
apiVersion: ai.gateway/v1
kind: SemanticRoute
metadata:
  name: dynamic-model-routing
spec:
  signals: [intent, urgency, safety]
  targets:
  - model: llama-3-8b
    weight: 70
    condition: "intent == simple"
  - model: reasoning-frontier
    weight: 30
    condition: "intent == complex"
  evaluator:
    minScore: 8
"""


def validate(tmp_path: Path, text: str) -> tuple[int, str]:
    route = tmp_path / "route.yaml"
    route.write_text(text, encoding="utf-8")
    registry = write_registry(tmp_path)
    arguments = ["route", "validate", str(route), "--registry", str(registry)]
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_the_talks_slide_is_valid_and_its_implied_default_is_named(tmp_path: Path) -> None:
    code, output = validate(tmp_path, SLIDE)
    assert code == 0
    assert "warning" in output
    assert "reasoning-frontier is the default" in output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("llama-3-8b", "unheard-of"), "unheard-of"),
        (("intent == simple", "intent = simple"), "^"),
        (("intent == simple", "mood == good"), "mood"),
        (("minScore: 8", "minScore: 80"), "minScore"),
        (("weight: 70", "weight: many"), "weight"),
        (("kind: SemanticRoute", "kind: Other"), "kind"),
        # The line and column in the file: the editor's, not the condition's.
        (("intent == complex", "intent = complex"), "condition (line 13, column 24): '='"),
        (("weight: 70", "weight: -70"), "spec.targets[0].weight (line 9, column 13)"),
        (("urgency, safety", "urgency, mood"), "unknown signal 'mood'"),
        (("intent == complex", "intent == complex and intent == simple"), "can never hold"),
        (('condition: "intent == simple"', "priority: 1"), "spec.targets[0] of higher priority"),
    ],
)
def test_what_cannot_be_used_fails_with_its_place(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    code, output = validate(tmp_path, SLIDE.replace(*change))
    assert code == 1
    assert "error" in output
    assert said in output


def test_weights_that_are_no_percent_are_warned_about_with_the_numbers(tmp_path: Path) -> None:
    code, output = validate(tmp_path, SLIDE.replace("weight: 70", "weight: 60"))
    assert code == 0
    assert "warning: spec.targets (line 8): the weights add up to 90 (60 + 30), not 100" in output


def test_weights_of_zero_alone_are_refused(tmp_path: Path) -> None:
    text = SLIDE.replace("weight: 70", "weight: 0").replace("weight: 30", "weight: 0")
    code, output = validate(tmp_path, text)
    assert code == 1
    assert "every weight is 0" in output
    assert "not usable" in output


def test_a_missing_file_fails(tmp_path: Path) -> None:
    registry = write_registry(tmp_path)
    arguments = ["route", "validate", str(tmp_path / "none.yaml"), "--registry", str(registry)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "none.yaml" in result.output
