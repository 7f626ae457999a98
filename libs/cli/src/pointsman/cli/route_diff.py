"""``pointsman route diff``: what a changed route would do to recorded requests.

Owns the command; the comparison is in ``route_comparison``, its tables are in ``route_report``.
"""

from datetime import datetime
from pathlib import Path

import click

from pointsman.cli.options import nats_option, registry_option, state_dir_option
from pointsman.cli.route_comparison import Comparison, compare
from pointsman.cli.route_events import STREAM, UnusableEvents, each_event, since_option
from pointsman.cli.route_file import open_version
from pointsman.cli.route_history import History
from pointsman.routes.replay import Version

MOVED_TOO_MANY = 2


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--events",
    "source",
    required=True,
    help=f"File that `pointsman route events` wrote, or `{STREAM}` for LLM_EVENTS itself.",
)
@registry_option
@click.option(
    "--registry-new",
    type=click.Path(path_type=Path),
    help="Model registry file to read NEW with. [default: that of OLD]",
)
@since_option
@state_dir_option
@nats_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
@click.option(
    "--fail-over",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    help=f"Exit with {MOVED_TOO_MANY} if more than so many percent of the requests move.",
)
def diff(
    old: Path,
    new: Path,
    source: str,
    registry: Path,
    registry_new: Path | None,
    since: datetime | None,
    state_dir: Path,
    nats_url: str | None,
    as_json: bool,
    fail_over: float | None,
) -> None:
    """Say what NEW would do to requests that OLD decided. No model is called.

    Exit code 1 if a file can not be used, 2 if more requests move than --fail-over allows.
    """
    before, after = open_version(old, registry), open_version(new, registry_new or registry)
    history = History(before, after)
    try:
        count = each_event(source, history.add, since=since, state_dir=state_dir, nats_url=nats_url)
    except UnusableEvents as error:
        raise click.ClickException(str(error)) from error
    found = _compared(history, before, after, source=source, count=count)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        from pointsman.cli.route_report import print_comparison

        print_comparison(found)
    if fail_over is not None and found.moved_percent > fail_over:
        click.echo(f"{found.moved_percent:.2f} % moved, over {fail_over:g} %", err=True)
        raise SystemExit(MOVED_TOO_MANY)


def _compared(
    history: History, old: Version, new: Version, *, source: str, count: int
) -> Comparison:
    """Raises: click.ClickException if there is nothing to compare."""
    if count == 0:
        raise click.ClickException(f"{source}: no events, at least not from that time")
    if not any(True for _ in history.replayed()):
        raise click.ClickException(
            f"{source}: none of {count} events says how a request was routed"
        )
    return compare(history, old, new)
