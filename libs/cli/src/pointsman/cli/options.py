"""Options that several commands share, spelled once."""

from pathlib import Path

import click

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
