"""All seven services in one process: the composition of their ``build`` functions.

Owns the list of services by name and the settings a laptop gives them. Runs nothing.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import SERVICES
from pointsman.runtime import Service


def build_service(name: ServiceName, overrides: Mapping[str, Any] | None = None) -> Service[Any]:
    """Build one service from the environment; ``overrides`` win over it.

    Raises: what ``build`` raises for settings that cannot work.
    """
    settings_type = import_module(f"pointsman.{name}.settings").Settings
    known = {key: value for key, value in (overrides or {}).items() if _has(settings_type, key)}
    settings = settings_type(**known)
    return import_module(f"pointsman.{name}.app").build(settings)


def build_all(overrides: Mapping[str, Any] | None = None) -> list[Service[Any]]:
    """Build the seven, in the order a request meets them."""
    return [build_service(name, overrides) for name in SERVICES]


def laptop_overrides(
    *, nats_url: str, state_dir: Path, registry_path: Path, route_path: Path, **more: Any
) -> dict[str, Any]:
    """Return the settings that tie the services of one machine together."""
    return {
        "nats_url": nats_url,
        "state_dir": state_dir,
        "registry_path": registry_path,
        "route_path": route_path,
        "catalogue_dir": state_dir / "catalogue",
        **more,
    }


def _has(settings_type: Any, field: str) -> bool:
    return field in settings_type.model_fields
