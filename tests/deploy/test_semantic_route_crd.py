"""Our CRD takes the talk's object as it is, and agrees with ``pointsman.routes`` on what is bad."""

import copy
from collections.abc import Iterator
from typing import Any, cast

import pytest
import yaml
from jsonschema import Draft202012Validator
from manifests import OVERLAYS, PLATFORM, ROOT, Document, closed, overlay_folder

from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.signal_schema import SIGNALS
from pointsman.routes.source import InvalidRoute, load_route

CRD: Document = yaml.safe_load((PLATFORM / "crds" / "semanticroutes.yaml").read_text())
SLIDE = """
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
BOUNDS = {
    "string": {"maxLength"},
    "array": {"maxItems"},
    "integer": {"minimum"},
    "number": {"minimum", "maximum"},
}


def version() -> Document:
    (only,) = CRD["spec"]["versions"]
    return cast("Document", only)


def schema() -> Document:
    return cast("Document", version()["schema"]["openAPIV3Schema"])


def errors(route: Document) -> list[str]:
    """What an API server says: unknown fields of ``spec`` count, ``metadata`` is its own affair."""
    validator = Draft202012Validator(closed(schema())["properties"]["spec"])
    return [error.message for error in validator.iter_errors(route.get("spec"))]


def nodes(node: Document, path: str = "") -> Iterator[tuple[str, Document]]:
    """Every schema below ``node``, with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")


def changed(path: str, value: object) -> Document:
    """The slide's object with one field replaced, or removed when ``value`` is None."""
    route: Document = copy.deepcopy(yaml.safe_load(SLIDE))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = route
    for part in parents:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return route


def test_the_crd_names_the_slides_kind() -> None:
    slide = yaml.safe_load(SLIDE)
    group, name = slide["apiVersion"].split("/")
    assert (CRD["spec"]["group"], version()["name"]) == (group, name)
    assert CRD["spec"]["names"]["kind"] == slide["kind"]
    assert CRD["metadata"]["name"] == f"{CRD['spec']['names']['plural']}.{group}"
    assert version()["subresources"] == {"status": {}}
    assert len(version()["additionalPrinterColumns"]) > 2


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


def test_the_slides_object_is_accepted_unchanged() -> None:
    assert errors(yaml.safe_load(SLIDE)) == []
    assert load_route(SLIDE).route.name == "dynamic-model-routing"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_routes_we_release_are_accepted(overlay: str) -> None:
    text = (overlay_folder(overlay) / "config" / "route.yaml").read_text(encoding="utf-8")
    assert errors(yaml.safe_load(text)) == []


def test_the_demos_route_is_the_slides() -> None:
    demo = ROOT / "loadgen" / "config" / "route.yaml"
    assert yaml.safe_load(demo.read_text(encoding="utf-8")) == yaml.safe_load(SLIDE)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec", None),
        ("spec.signals", None),
        ("spec.signals", []),
        ("spec.signals", ["mood"]),
        ("spec.signals", "intent"),
        ("spec.targets", None),
        ("spec.targets", []),
        ("spec.targets", [{"model": "m"}] * 65),
        ("spec.targets.0.model", None),
        ("spec.targets.0.model", ""),
        ("spec.targets.0.model", "two words"),
        ("spec.targets.0.model", "m" * 129),
        ("spec.targets.0.weight", -1),
        ("spec.targets.0.weight", 1_000_001),
        ("spec.targets.0.weight", "70"),
        ("spec.targets.0.condition", ""),
        ("spec.targets.0.condition", "intent == simple" + " " * 512),
        ("spec.targets.0.conditions", "intent == simple"),
        ("spec.evaluator.minScore", None),
        ("spec.evaluator.minScore", 11),
        ("spec.evaluator.minScore", -1),
        ("spec.evaluator.mode", "sometimes"),
        ("spec.evaluator.maxAttempts", 0),
        ("spec.evaluator.maxAttempts", 11),
        ("spec.evaluator.onLowScore", "retry"),
        ("spec.evaluator.onJudgeFailure", "guess"),
        ("spec.evaluator.min_score", 8),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_route_is_refused_by_the_api_server_and_by_the_classifier(
    path: str, value: object
) -> None:
    route = changed(path, value)
    assert errors(route) != []
    with pytest.raises(InvalidRoute):
        load_route(yaml.safe_dump(route))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.evaluator", None),
        ("spec.targets.1.condition", None),
        ("spec.targets.0.weight", None),
        ("spec.targets.0.weight", 0),
        ("spec.evaluator.minScore", 7.5),
        ("spec.evaluator.mode", "observe"),
        ("spec.evaluator.maxAttempts", 10),
    ],
)
def test_a_good_route_is_taken_by_both(path: str, value: object) -> None:
    route = changed(path, value)
    assert errors(route) == []
    load_route(yaml.safe_dump(route))


def test_every_string_and_array_is_bounded() -> None:
    unbounded = [
        path
        for path, node in nodes(schema())
        if not BOUNDS.get(str(node.get("type")), set()) <= set(node)
    ]
    assert unbounded == []


def test_the_schema_is_structural() -> None:
    for path, node in nodes(schema()):
        assert "type" in node, path
        assert not {"$ref", "oneOf", "additionalProperties"} & set(node), path


def test_defaults_and_bounds_are_those_of_the_routes_model() -> None:
    model = SemanticRoute.model_json_schema(by_alias=True)
    spec = schema()["properties"]["spec"]
    for kind, node in (
        ("Target", spec["properties"]["targets"]["items"]),
        ("RouteEvaluator", spec["properties"]["evaluator"]),
    ):
        wanted = model["$defs"][kind]
        assert set(node["properties"]) == set(wanted["properties"])
        assert set(node["required"]) == set(wanted["required"])
        for name, field in wanted["properties"].items():
            mine = node["properties"][name]
            for rule in ("minimum", "maximum", "maxLength", "pattern", "enum"):
                if rule in field:
                    assert mine[rule] == field[rule], f"{kind}.{name}.{rule}"
            if field.get("default") is not None:
                assert mine["default"] == field["default"], f"{kind}.{name}"


def test_the_signals_are_those_that_conditions_know() -> None:
    signals = schema()["properties"]["spec"]["properties"]["signals"]
    assert signals["items"]["enum"] == list(SIGNALS)
    assert signals["maxItems"] == len(SIGNALS)
