"""Keys that the registry names are found in the environment, or said to be missing."""

import pytest

from pointsman.executor.settings import MissingKey, api_keys
from pointsman.routes.registry import ModelRegistry

from .doubles import a_model

REGISTRY = ModelRegistry(
    models=(a_model(id="open"), a_model(id="hosted", api_key_env="HOSTED_KEY"))
)


def test_only_models_that_name_a_key_have_one() -> None:
    keys = api_keys(REGISTRY, {"HOSTED_KEY": "s3cret", "OTHER": "x"})
    assert {model: key.get_secret_value() for model, key in keys.items()} == {"hosted": "s3cret"}


@pytest.mark.parametrize("environment", [{}, {"HOSTED_KEY": ""}, {"HOSTED_KEY": "  "}])
def test_a_missing_key_names_the_model_and_the_variable(environment: dict[str, str]) -> None:
    with pytest.raises(MissingKey, match="'hosted' needs the environment variable HOSTED_KEY"):
        api_keys(REGISTRY, environment)
