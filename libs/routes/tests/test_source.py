"""Loading a route file: the slide as it is, and every bad file with its reason."""

from pathlib import Path

import pytest

from pointsman.routes.semantic_route import MAX_TARGETS
from pointsman.routes.source import InvalidRoute, RouteFile, load_route

from .route_values import SLIDE, registry


def test_the_talks_slide_loads_as_it_is() -> None:
    loaded = load_route(SLIDE)
    spec = loaded.route.spec
    assert [(target.model, target.weight, str(target.condition)) for target in spec.targets] == [
        ("llama-3-8b", 70, "intent == simple"),
        ("reasoning-frontier", 30, "intent == complex"),
    ]
    assert spec.signals == ("intent", "urgency", "safety")
    assert spec.evaluator is not None
    assert spec.evaluator.min_score == 8
    assert spec.evaluator.mode == "gate"
    assert len(loaded.revision) == 12


def test_off_is_a_word_although_yaml_reads_it_as_false() -> None:
    evaluator = load_route(SLIDE + "    plan: off\n").route.spec.evaluator
    assert evaluator is not None
    assert evaluator.for_decision.plan == "off"
    with pytest.raises(InvalidRoute):
        load_route(SLIDE + "    plan: on\n")


def test_the_demos_route_file_is_the_slide() -> None:
    file = Path(__file__).parents[3] / "loadgen" / "config" / "route.yaml"
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines == SLIDE.strip().splitlines()


def test_the_revision_follows_the_content() -> None:
    assert load_route(SLIDE).revision == load_route(SLIDE).revision
    assert load_route(SLIDE).revision != load_route(SLIDE + "\n").revision


def test_a_route_survives_being_written_and_read() -> None:
    more = "    budgetUsd: 0.05\n  stickiness: conversation\n"
    with_a_pool = SLIDE.replace("model: llama-3-8b", "models: [a, b]\n    fallbacks: [c]")
    route = load_route(with_a_pool + more).route
    again = load_route(route.model_dump_json(by_alias=True, exclude_none=True)).route
    assert again == route


def target(text: str) -> str:
    return SLIDE.replace("weight: 70", text)


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("", "", "the file is empty"),
        ("# only a comment\n---\n", "", "the file is empty"),
        (SLIDE + "---" + SLIDE, "", "2 documents"),
        ("- a\n- b\n", "", "a mapping is expected"),
        ("spec: [", "", "not YAML"),
        ("a: !!python/object/apply:os.system [x]", "", "not YAML"),
        ("at: 2024-99-99", "", "not YAML"),
        ("[" * 3000, "", "not YAML"),
        (SLIDE + "  signals: [intent]\n", "", "twice"),
        (SLIDE.replace("ai.gateway/v1", "v2"), "apiVersion", "ai.gateway/v1"),
        (SLIDE.replace("kind: SemanticRoute", "kind: Other"), "kind", "SemanticRoute"),
        (SLIDE.replace("dynamic-model-routing", "Not A Name"), "metadata.name", "pattern"),
        (SLIDE.replace("minScore: 8", "minScore: 11"), "spec.evaluator.minScore", "10"),
        (SLIDE.replace("minScore: 8", "minScore: .nan"), "spec.evaluator.minScore", "10"),
        (SLIDE.replace("minScore: 8", "min_score: 8"), "spec.evaluator.minScore", "required"),
        (SLIDE + "    maxAttempt: 3\n", "spec.evaluator.maxAttempt", "not permitted"),
        (SLIDE.replace("urgency, safety", "urgency, mood"), "spec.signals", "unknown signal"),
        (SLIDE.replace("urgency, safety", "urgency, urgency"), "spec.signals", "twice"),
        (target("weight: -1"), "spec.targets[0].weight", "greater than or equal to 0"),
        (target("weight: 1.5"), "spec.targets[0].weight", "integer"),
        (target("weight: true"), "spec.targets[0].weight", "integer"),
        (target("weight: '70'"), "spec.targets[0].weight", "integer"),
        (target("wieght: 70"), "spec.targets[0].wieght", "not permitted"),
        (SLIDE.replace('"intent == complex"', "true"), "spec.targets[1].condition", "text"),
        (SLIDE.replace("== complex", "== purple"), "spec.targets[1].condition", "never 'purple'"),
        (SLIDE.replace("intent == complex", "x" * 513), "spec.targets[1].condition", "longer"),
        (SLIDE.replace("[intent, ", "["), "spec.targets[0].condition", "not listed in spec"),
        (SLIDE + "#" * 262144, "", "longer than"),
        (target("priority: -1"), "spec.targets[0].priority", "greater than or equal to 0"),
        (target("priority: 1001"), "spec.targets[0].priority", "less than or equal to 1000"),
        (target("role: understudy"), "spec.targets[0].role", "'shadow'"),
        (target("percent: 5"), "spec.targets[0]", "percent is for a shadow"),
        (target("role: shadow\n    weight: 1"), "spec.targets[0]", "not a weight"),
        (target("role: shadow\n    percent: 101"), "spec.targets[0].percent", "100"),
        (target("role: shadow\n    fallbacks: [m]"), "spec.targets[0]", "no fallbacks"),
        (target("models: [a, b]"), "spec.targets[0]", "not both"),
        (target("prefer: cost"), "spec.targets[0]", "prefer is for a target with models"),
        (target("fallbacks: [{model: m, onErrors: [luck]}]"),
         "spec.targets[0].fallbacks[0].onErrors[0]", "'upstream_error'"),
        (target("constraints: {maxCostUsd: -1}"), "spec.targets[0].constraints.maxCostUsd", "0"),
        (target("constraints: {regions: eu}"), "spec.targets[0].constraints.regions", "tuple"),
        (target("constraints: {latencyClass: warp}"),
         "spec.targets[0].constraints.latencyClass", "'slow'"),
        (SLIDE + "    budgetUsd: .inf\n", "spec.evaluator.budgetUsd", "finite"),
        (SLIDE + "    onLowScore: shrug\n", "spec.evaluator.onLowScore", "'human'"),
        (SLIDE + "  stickiness: glue\n", "spec.stickiness", "'conversation'"),
        (SLIDE.replace("weight: 70", "role: canary").replace("weight: 30", "role: shadow"),
         "spec.targets", "at least one target must be primary"),
        (SLIDE.replace("intent == simple", "metadata == x"),
         "spec.targets[0].condition", "metadata.KEY"),
        (
            SLIDE.replace("  evaluator:", "  - model: m\n" * MAX_TARGETS + "  evaluator:"),
            "spec.targets",
            "at most 64",
        ),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_its_field(text: str, path: str, reason: str) -> None:
    with pytest.raises(InvalidRoute) as caught:
        load_route(text)
    assert caught.value.path == path
    assert reason in caught.value.reason


def test_a_bad_condition_is_shown_with_a_caret() -> None:
    with pytest.raises(InvalidRoute) as caught:
        load_route(SLIDE.replace("== complex", "== purple"))
    assert caught.value.excerpt == "intent == purple\n          ^"


def written(condition: str) -> str:
    return SLIDE.replace('"intent == complex"', condition)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        # The slide's second condition stands in line 14; its text begins in column 17.
        (written('"intent = complex"'), 14, 24),
        (written("'intent = complex'"), 14, 24),
        (written("intent = complex"), 14, 23),
        (written('"intent == "'), 14, 26),
        (written('"intent == complex and\n      mood == good"'), 15, 7),
        (written("intent == complex and\n      mood == good"), 15, 7),
        (written("|\n      intent == complex\n      and (mood == good)"), 16, 12),
        (written(">-\n      intent == complex\n\n      and (mood == good)"), 17, 12),
        (written('"intent == complex and urgency in [low, late]"'), 14, 56),
        # Written with an escape: only where the condition begins.
        (written(r'"intent\u0020= complex"'), 14, 16),
        # Nothing but the condition: a signal that is not listed, text after its end.
        (written('"domain == x"'), 14, 17),
        (written('"intent == complex)"'), 14, 34),
        # Other fields stand where their value begins.
        (SLIDE.replace("minScore: 8", "minScore: 80"), 16, 15),
        (SLIDE + "    colour: red\n", 17, 13),
        (SLIDE.replace("weight: 30", "wait: 30"), 13, 11),
        (SLIDE.replace("    minScore: 8", "    mode: gate"), 16, 5),
        ("spec: [", 1, 8),
        (SLIDE + "  signals: [intent]\n", 17, 3),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column_of_the_file(
    text: str, line: int, column: int
) -> None:
    with pytest.raises(InvalidRoute) as caught:
        load_route(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f"line {line}, column {column}" in str(caught.value)


def test_a_document_that_contains_itself_is_refused() -> None:
    with pytest.raises(InvalidRoute):
        load_route("spec: &a\n  targets: [*a, *a]\n")


OTHER = SLIDE.replace("weight: 70", "weight: 90")
BAD = SLIDE.replace("llama-3-8b", "nobody")


def test_a_bad_text_keeps_the_last_good_route_and_says_why() -> None:
    good = RouteFile(registry=registry()).refresh(SLIDE)
    bad = good.refresh(BAD)
    assert bad.current == good.current
    assert (
        str(bad.problem)
        == "spec.targets[0].model (line 9, column 12): model 'nobody' is not in the registry"
    )
    mended = bad.refresh(OTHER)
    assert mended.problem is None
    assert mended.current == load_route(OTHER)


def test_the_last_good_text_put_back_clears_the_problem() -> None:
    state = RouteFile(registry=registry()).refresh(SLIDE).refresh("nonsense").refresh(SLIDE)
    assert state.problem is None
    assert state.current == load_route(SLIDE)


@pytest.mark.parametrize("text", [SLIDE, "nonsense", None])
def test_an_unchanged_text_changes_nothing(text: str | None) -> None:
    state = RouteFile(registry=registry()).refresh(text)
    assert state.refresh(text) is state


def test_a_file_that_disappears_keeps_the_route_and_comes_back() -> None:
    good = RouteFile(registry=registry()).refresh(SLIDE)
    gone = good.refresh(None, why="no such file")
    assert gone.current == good.current
    assert str(gone.problem) == "no such file"
    assert gone.refresh(SLIDE).problem is None


def test_a_small_file_that_looks_endless_is_refused_soon() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 20)}]\n" for n in range(1, 14))
    with pytest.raises(InvalidRoute):
        load_route(f"l0: &l0 [x, x]\n{levels}")


def test_a_rule_that_no_request_reaches_does_not_keep_a_route_from_being_used() -> None:
    dead = SLIDE.replace("== complex", "== complex and intent == simple")
    state = RouteFile(registry=registry()).refresh(dead)
    assert state.current is not None
    assert [issue.level for issue in state.warnings] == ["error", "warning"]


def test_warnings_do_not_keep_a_route_from_being_used() -> None:
    state = RouteFile(registry=registry()).refresh(SLIDE)
    assert [issue.level for issue in state.warnings] == ["warning"]
    assert state.current is not None
