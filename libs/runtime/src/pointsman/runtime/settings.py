"""Settings every service shares. Each service derives its own class with its name as prefix.

Owns the fields and their environment names; pydantic-settings alone reads the environment.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class MissingSecret(LookupError):
    """A secret that a configuration file names is not in the environment."""


class ServiceSettings(BaseSettings):
    """Shared settings. Names are the same for all services, so they carry no service prefix."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="__", extra="ignore", frozen=True, populate_by_name=True
    )

    nats_url: str = Field(
        default="nats://127.0.0.1:4222",
        validation_alias="NATS_URL",
        description="NATS servers, comma separated.",
    )
    nats_user: str | None = Field(
        default=None, validation_alias="NATS_USER", description="NATS user name, if any."
    )
    nats_password: SecretStr | None = Field(
        default=None, validation_alias="NATS_PASSWORD", description="Password of the NATS user."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        validation_alias="LOG_FORMAT",
        description="JSON lines, or readable lines; auto is readable on a terminal.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", validation_alias="LOG_LEVEL", description="Lowest level that is written."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OTLP/HTTP endpoint for spans; none are exported without it.",
    )
    health_host: str = Field(
        default="127.0.0.1",
        validation_alias="HEALTH_HOST",
        description="Address of /healthz, /readyz and /metrics.",
    )
    health_port: int | None = Field(
        default=None,
        validation_alias="HEALTH_PORT",
        description="Port of /healthz, /readyz, /metrics; none without it (ingress has its own).",
    )
    drain_timeout: timedelta = Field(
        default=timedelta(seconds=20),
        validation_alias="DRAIN_TIMEOUT",
        description="How long handlers may go on after SIGTERM before their messages go back.",
    )
    state_dir: Path = Field(
        default=Path(".state"),
        validation_alias="POINTSMAN_STATE_DIR",
        description="Folder for files a laptop keeps: JetStream, ledger, indexes.",
    )
