"""``pointsman route``: check a SemanticRoute file before it is in force."""

from pathlib import Path

import click

from pointsman.cli.options import registry_option
from pointsman.cli.route_diff import diff
from pointsman.cli.route_events import events
from pointsman.cli.route_explain import explain
from pointsman.routes.registry import InvalidRegistry, ModelRegistry, load_registry
from pointsman.routes.source import InvalidRoute, load_route
from pointsman.routes.validate import validate as issues_of


@click.group()
def route() -> None:
    """SemanticRoute files."""


@route.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@registry_option
def validate(files: tuple[Path, ...], registry: Path) -> None:
    """Check route files. Exit code 1 if any has an error; warnings alone exit 0.

    A rule that no request can reach is an error here, although the classifier takes the route.
    """
    try:
        models = load_registry(registry)
    except InvalidRegistry as error:
        raise click.ClickException(str(error)) from error
    is_sound = [_check(path, models) for path in files]
    raise SystemExit(0 if all(is_sound) else 1)


def _check(path: Path, models: ModelRegistry) -> bool:
    """Print what is wrong or surprising in one file; return whether there is no error."""
    try:
        revision = load_route(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        click.echo(f"{path}: error: {type(error).__name__}")
        return False
    except InvalidRoute as error:
        click.echo(f"{path}: error: {error}")
        if error.excerpt:
            click.echo(error.excerpt)
        return False
    found = issues_of(revision.route, models)
    for issue in found:
        place = revision.places.find(issue.path)
        where = f"{issue.path} (line {place.line})" if place else issue.path
        click.echo(f"{path}: {issue.level}: {where}: {issue.message}")
    errors = [issue for issue in found if issue.level == "error"]
    is_usable = all(issue.is_usable for issue in errors)
    verdict = "valid" if not errors else "usable, but wrong" if is_usable else "not usable"
    click.echo(f"{path}: {verdict}, revision {revision.revision}, {len(found)} remarks")
    return not errors


route.add_command(explain)
route.add_command(diff)
route.add_command(events)
