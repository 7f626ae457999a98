"""Implementations of the executor's ports: model backends, tools, argument checks."""
