"""Settings of ingress, read from the environment with the prefix ``INGRESS_``."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from pointsman.contracts.topology import MAX_DEADLINE
from pointsman.runtime import ServiceSettings


class Settings(ServiceSettings):
    model_config = ServiceSettings.model_config | SettingsConfigDict(env_prefix="INGRESS_")

    host: str = Field(default="127.0.0.1", description="Address of the HTTP API.")
    port: int = Field(default=8080, description="Port of the HTTP API.")
    registry_path: Path = Field(
        default=Path("loadgen/config/models.yaml"),
        description="Model registry file; names of models a client may ask for.",
    )
    api_keys: dict[str, SecretStr] = Field(
        default_factory=dict[str, SecretStr],
        description="Namespace to API key, as JSON; without any, all are namespace default.",
    )
    deadline: timedelta = Field(
        default=timedelta(minutes=2),
        gt=timedelta(0),
        le=MAX_DEADLINE,
        description="How long a request may take in all, at most 5 minutes.",
    )
    max_body_bytes: int = Field(
        default=2 * 1024 * 1024, gt=0, description="Largest request body; more answers 413."
    )
    max_messages: int = Field(
        default=512, gt=0, description="Most messages in one request; more answers 400."
    )
    max_queue_depth: int = Field(
        default=2000, gt=0, description="Commands that may wait in LLM_WORK; more answers 429."
    )
    max_in_flight: int = Field(
        default=1000, gt=0, description="Requests one ingress may hold open; more answers 429."
    )
    body_patience: timedelta = Field(
        default=timedelta(seconds=30), description="How long a body may take to arrive; then 408."
    )
    retry_after: timedelta = Field(
        default=timedelta(seconds=2), description="What a 429 tells the client to wait."
    )
    header_patience: timedelta = Field(
        default=timedelta(seconds=15),
        description="How long a stream's headers wait for the decision before they are sent.",
    )
