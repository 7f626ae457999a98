"""The environment of the contenders: the machine's, without what would configure a service.

The only module of the benchmark that reads the environment.
"""

import os
from collections.abc import Mapping

_NOT_OURS = (
    "INGRESS_", "SAFETY_", "CLASSIFIER_", "TOOLRAG_", "EXECUTOR_", "JUDGE_", "ACCOUNTING_",
    "NATS_", "LOG_", "HEALTH_", "OTEL_", "POINTSMAN_", "LITELLM_", "DATABASE_URL", "OPENAI_",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
)  # fmt: skip
_FIND_LINKS = ("UV_FIND_LINKS", "PIP_FIND_LINKS")


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of one contender, with ``settings`` over it."""
    kept = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(_NOT_OURS)
    }
    return {**kept, **settings}


def uv_environment(virtual_env: str) -> dict[str, str]:
    """Return the environment of uv as the Taskfile gives it: no empty settings, local wheels."""
    found: Mapping[str, str] = os.environ
    links = next((found[name] for name in _FIND_LINKS if found.get(name)), "")
    kept = {name: value for name, value in found.items() if not name.startswith("UV_") or value}
    return {**kept, "VIRTUAL_ENV": virtual_env, **({"UV_FIND_LINKS": links} if links else {})}
