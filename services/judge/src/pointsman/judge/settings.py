"""Settings of the judge, read from the environment. What is judged, and how, is the route's.

The only module of this service that reads the environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from pointsman.judge.adapters.heads import SHIPPED
from pointsman.routes.registry import ModelRegistry
from pointsman.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = ServiceSettings.model_config | SettingsConfigDict(env_prefix="JUDGE_")

    heads_dir: Path = Field(
        default=SHIPPED,
        description="Folder of the learned heads; the judge does not start without them.",
    )
    registry_path: Path | None = Field(
        default=None,
        description="Model registry file (YAML) for critics; without it none can be asked.",
    )
    critic_calls: int = Field(
        default=16, ge=1, description="Reviews by critics at a time; one beyond them waits."
    )


def critic_keys(
    registry: ModelRegistry, environment: Mapping[str, str] | None = None
) -> dict[str, SecretStr]:
    """Return the keys that the environment holds, by model id.

    A key that is absent is no fault here: few models of a registry are anybody's critic.
    """
    held = os.environ if environment is None else environment
    return {
        model.id: SecretStr(held[model.api_key_env].strip())
        for model in registry.models
        if model.api_key_env and held.get(model.api_key_env, "").strip()
    }
