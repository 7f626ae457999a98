"""toolrag's settings."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from pointsman.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = ServiceSettings.model_config | SettingsConfigDict(env_prefix="TOOLRAG_")

    catalogue_dir: Path = Field(
        default=Path(".state/catalogue"),
        description="Folder of the built catalogue; built at start when absent or stale.",
    )
    embedder_dir: Path = Field(
        default_factory=lambda known: known["state_dir"] / "embedder",
        validation_alias="POINTSMAN_EMBEDDER_DIR",
        description="Folder of the exported embedding model; made at start when absent. "
        "By default `embedder` in the state folder.",
    )
    min_k: int = Field(
        default=3, ge=0, le=64, description="Tools bound at least, however low they score."
    )
    max_k: int = Field(
        default=8, ge=1, le=64, description="Tools bound at most, companions included."
    )

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.min_k > self.max_k:
            raise ValueError("TOOLRAG_MIN_K is greater than TOOLRAG_MAX_K")
        return self
