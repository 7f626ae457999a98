"""The model registry: names, prices, and what is said of a bad file."""

from decimal import Decimal
from pathlib import Path

import pytest

from pointsman.routes.registry import (
    InvalidRegistry,
    ModelRegistry,
    UnknownModel,
    load_registry,
)

from .route_values import registry

MODEL = """
- id: small
  provider: test
  base_url: http://127.0.0.1:9/v1
  context_window: 8192
  token_cost: {input: 0.0000008, output: 0.0000024}
"""
GOOD = f"models:{MODEL}"


def test_ids_and_aliases_resolve() -> None:
    assert registry().resolve("small").id == registry().resolve("llama-3-8b").id == "small"
    with pytest.raises(UnknownModel, match="'gone'"):
        registry().resolve("gone")


def test_stronger_models_are_dearer_and_sorted() -> None:
    stronger = registry().stronger_than(registry().resolve("small"))
    assert [model.id for model in stronger] == ["large", "huge"]


def test_models_of_one_price_are_not_stronger_than_each_other() -> None:
    twins = [
        model.model_copy(update={"token_cost": registry().resolve("large").token_cost})
        for model in registry().models
    ]
    same = ModelRegistry(models=tuple(twins))
    assert same.stronger_than(same.resolve("tiny")) == ()


def test_stronger_models_can_do_what_is_needed() -> None:
    models = {model.id: model for model in registry().models}
    seeing = models["small"].model_copy(update={"capabilities": ("chat", "vision")})
    able = models["huge"].model_copy(update={"capabilities": ("vision", "chat", "tools")})
    some = ModelRegistry(models=(models["large"], able, seeing))
    assert some.stronger_than(some.resolve("small")) == (able,)


def test_a_registry_that_has_answered_is_the_same_value() -> None:
    asked = registry()
    asked.stronger_than(asked.resolve("small"))
    assert asked == registry()
    assert asked.model_dump() == registry().model_dump()


def test_prices_are_exact(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(GOOD, encoding="utf-8")
    (model,) = load_registry(file).models
    assert model.cost_usd(input_tokens=1000, output_tokens=10) == Decimal("0.000824")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "registry"),
        ("models: []", "models"),
        ("models: [", "expected"),
        ("at: 2024-99-99", "month"),
        (GOOD + MODEL.lstrip("\n"), "used by more than one model: small"),
        (GOOD + "  fallbacks: [gone]", "model 'small' names unknown fallback 'gone'"),
        (GOOD + "  colour: red", "models.0.colour"),
        (GOOD.replace("0.0000024", "-1"), "models.0.token_cost.output"),
        (GOOD.replace("0.0000024", ".nan"), "models.0.token_cost.output"),
        (GOOD + "  api_key_env: sk-secret", "models.0.api_key_env"),
    ],
)
def test_a_bad_registry_is_refused_with_its_field(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidRegistry, match=r"models\.yaml") as caught:
        load_registry(file)
    assert reason in caught.value.reason


def test_a_missing_registry_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidRegistry, match=r"gone\.yaml"):
        load_registry(tmp_path / "gone.yaml")
