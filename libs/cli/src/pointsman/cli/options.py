"""Options that several commands share, spelled once."""

from collections.abc import Collection
from pathlib import Path

import click

from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import WORKERS

state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=Path(".state"),
    envvar="POINTSMAN_STATE_DIR",
    show_default=True,
    help="Folder for JetStream, the ledger, indexes and logs.",
)
nats_option = click.option("--nats-url", envvar="NATS_URL", help="A bus that runs already.")
route_option = click.option(
    "--route",
    type=click.Path(path_type=Path),
    default=Path("loadgen/config/route.yaml"),
    show_default=True,
    help="SemanticRoute file.",
)
registry_option = click.option(
    "--registry",
    type=click.Path(path_type=Path),
    default=Path("loadgen/config/models.yaml"),
    show_default=True,
    help="Model registry file.",
)


class Fuse(click.ParamType):
    """A list of stages, such as ``safety,classifier``; ``all``, or ``none``."""

    name = "stages"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Collection[ServiceName]:
        words = [word.strip() for word in str(value).split(",") if word.strip()]
        if words == ["all"]:
            return WORKERS
        if words == ["none"]:
            return ()
        chosen = tuple(worker for worker in WORKERS if worker in words)
        if len(chosen) != len(set(words)):
            unknown = sorted(set(words) - set(WORKERS))
            self.fail(f"{', '.join(unknown)}: a stage is one of {', '.join(WORKERS)}", param, ctx)
        return chosen


fuse_option = click.option(
    "--fuse",
    type=Fuse(),
    default="all",
    envvar="POINTSMAN_FUSE",
    show_default=True,
    help="Stages of this process that call each other directly, not over the bus; all, or none.",
)
