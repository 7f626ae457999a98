"""A model registry of two models, as tests need it."""

from pathlib import Path

TWO_MODELS = """\
models:
- id: small
  aliases: [llama-3-8b]
  provider: test
  base_url: {base_url}
  capabilities: [chat, tool_use]
  context_window: 8192
  token_cost: {{input: 0.000001, output: 0.000002}}
  fallbacks: [large]
- id: large
  aliases: [reasoning-frontier]
  provider: test
  base_url: {base_url}
  capabilities: [chat, tool_use]
  context_window: 128000
  token_cost: {{input: 0.00001, output: 0.00003}}
  is_simulated: true
"""


def write_registry(folder: Path, base_url: str = "http://127.0.0.1:9/v1") -> Path:
    """Write a registry of ``small`` and ``large``, both served at ``base_url``; return its path."""
    path = folder / "models.yaml"
    path.write_text(TWO_MODELS.format(base_url=base_url), encoding="utf-8")
    return path
