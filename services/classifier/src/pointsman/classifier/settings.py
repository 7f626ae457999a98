"""What an operator can set on the classifier, from the environment."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pointsman.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = ServiceSettings.model_config | SettingsConfigDict(env_prefix="CLASSIFIER_")

    route_path: Path = Field(
        default=Path("loadgen/config/route.yaml"),
        description="SemanticRoute file; read again while running.",
    )
    registry_path: Path = Field(
        default=Path("loadgen/config/models.yaml"),
        description="Model registry file; read once at start.",
    )
    route_poll_interval: timedelta = Field(
        default=timedelta(seconds=1),
        gt=timedelta(0),
        description="How often the route file is looked at; a change waits at most this long.",
    )
    heads_dir: Path = Field(
        default=Path(__file__).parent / "weights",
        description="Folder of the learned scorers, intents.npz and gain.npz; "
        "one that is absent leaves its signals at their defaults.",
    )
    embedder_dir: Path = Field(
        default_factory=lambda known: known["state_dir"] / "embedder",
        validation_alias="POINTSMAN_EMBEDDER_DIR",
        description="Folder of the exported embedding model; made at start when absent. "
        "By default `embedder` in the state folder.",
    )
    encoder_threads: int = Field(
        default=2,
        ge=1,
        description="Threads that embed; each uses a core while requests wait for their vectors.",
    )
    cached_vectors: int = Field(
        default=4096,
        ge=0,
        description="How many texts' vectors, and what the heads say of them, are kept in memory "
        "(about 2 KiB each); 0 keeps none.",
    )
