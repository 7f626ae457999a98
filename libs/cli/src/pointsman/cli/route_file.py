"""Route and registry files of ``pointsman route``, read and checked, or refused with the place."""

from pathlib import Path
from typing import NoReturn

import click

from pointsman.routes.registry import load_registry
from pointsman.routes.replay import Version
from pointsman.routes.source import InvalidRoute, RouteFile


def open_version(path: Path, registry: Path) -> Version:
    """Return the usable route in ``path``; warnings are for ``pointsman route validate``.

    Raises: InvalidRegistry; SystemExit(1) once what is wrong with the route is printed.
    """
    models = load_registry(registry)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _refuse(path, type(error).__name__)
    known = RouteFile(registry=models).refresh(text)
    if known.current is None or known.problem is not None:
        _refuse(path, known.problem)
    return Version(route=known.current, registry=models)


def _refuse(path: Path, why: InvalidRoute | str | None) -> NoReturn:
    click.echo(f"{path}: error: {why}", err=True)
    if isinstance(why, InvalidRoute) and why.excerpt:
        click.echo(why.excerpt, err=True)
    raise SystemExit(1)
