"""Typed configuration of safety."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from pointsman.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Safety's own settings."""

    model_config = ServiceSettings.model_config | SettingsConfigDict(env_prefix="SAFETY_")

    block_threshold: float = Field(
        default=1.0, gt=0, description="Attack score from which a request is blocked."
    )
    flag_threshold: float = Field(
        default=0.5,
        gt=0,
        description="Attack score from which a request passes marked as suspicious.",
    )
    injection_fail_open: bool = Field(
        default=False,
        description="Let requests pass, flagged, when the injection guard fails; else block them.",
    )
    masking_fail_open: bool = Field(
        default=False,
        description="Let requests pass unmasked when the masking guard fails; else block them.",
    )
    block_message: str = Field(
        default="The request was blocked by a safety policy.",
        min_length=1,
        max_length=300,
        description="Sentence that the client of a blocked request reads.",
    )
    detector_threads: int = Field(
        default=1, ge=1, le=16, description="Threads that run detectors beside the event loop."
    )

    @model_validator(mode="after")
    def _flags_before_it_blocks(self) -> Self:
        if self.flag_threshold > self.block_threshold:
            raise ValueError("SAFETY_FLAG_THRESHOLD must not exceed SAFETY_BLOCK_THRESHOLD")
        return self
