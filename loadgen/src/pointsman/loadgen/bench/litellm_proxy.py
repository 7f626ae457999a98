"""LiteLLM's proxy in an environment of its own, with its fastest reasonable settings.

Owns its version, its installation by uv, and its configuration; the report prints all of them.
"""

import asyncio
import sysconfig
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from pointsman.loadgen.bench.child import Child, ChildFailed, child, free_port
from pointsman.loadgen.bench.settings import environment, uv_environment

VERSION = "1.106.2"
REQUIREMENT = f"litellm[proxy]=={VERSION}"
START_S = 120.0
INSTALL_S = 480.0
READY = "installed.txt"

SETTINGS: dict[str, str] = {
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_TELEMETRY": "False",
    # Prices come from the package; otherwise the start asks a host on the network.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # No key is asked for, as Pointsman asks for none: without this it refuses to start.
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
}
ARGUMENTS = ("--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False")


def configuration(stub_port: int, model: str) -> dict[str, Any]:
    """Return the proxy's configuration file: one model, no retries, nothing logged or stored."""
    return {
        "model_list": [
            {
                "model_name": model,
                "litellm_params": {
                    "model": "openai/stub",
                    "api_base": f"http://127.0.0.1:{stub_port}/v1",
                    "api_key": "none",
                },
            }
        ],
        "litellm_settings": {
            "drop_params": True,
            "num_retries": 0,
            "telemetry": False,
            "set_verbose": False,
        },
        "router_settings": {"num_retries": 0},
        "general_settings": {"disable_spend_logs": True},
    }


def described() -> dict[str, Any]:
    """Return what the report says of it."""
    return {
        "requirement": REQUIREMENT,
        "arguments": list(ARGUMENTS),
        "environment": SETTINGS,
        "configuration": configuration(0, "auto"),
        "server": "uvicorn with uvloop (the proxy's own choice), one worker, no database, no key",
    }


async def install(into: Path, *, log_dir: Path) -> None:
    """Make the environment, unless it is there in this version. Raises: ChildFailed."""
    marker = into / READY
    if marker.is_file() and marker.read_text(encoding="utf-8").strip() == REQUIREMENT:
        return
    scripts = Path(sysconfig.get_path("scripts"))
    uv, python = scripts / "uv", scripts / "python"
    into.parent.mkdir(parents=True, exist_ok=True)
    settings = uv_environment(str(into.resolve()))
    for command in (
        (str(uv), "venv", "--quiet", "--clear", "--python", str(python), str(into)),
        (str(uv), "pip", "install", "--quiet", REQUIREMENT),
    ):
        async with (
            asyncio.timeout(INSTALL_S),
            child("uv", command, log_dir=log_dir, environment=settings) as process,
        ):
            if await process.wait():
                raise ChildFailed(f"{' '.join(command)} failed: {process.log_tail()}")
    marker.write_text(f"{REQUIREMENT}\n", encoding="utf-8")


@asynccontextmanager
async def litellm_proxy(
    installed: Path, *, stub_port: int, model: str, work_dir: Path, log_dir: Path
) -> AsyncGenerator[tuple[Child, int]]:
    """Run the proxy inside the block; yield its process and port. Raises: ChildFailed."""
    port = free_port()
    config = work_dir / "litellm.yaml"
    config.write_text(yaml.safe_dump(configuration(stub_port, model)), encoding="utf-8")
    program = str(installed / "bin" / "litellm")
    command = (program, "--config", str(config), "--port", str(port), *ARGUMENTS)
    settings = environment(**SETTINGS)
    async with child("litellm", command, log_dir=log_dir, environment=settings) as process:
        await process.listening(port, patience_s=START_S)
        yield process, port
