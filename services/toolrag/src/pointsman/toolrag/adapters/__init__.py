"""Implementations of toolrag's ports: botocore's service models, catalogue files, MiniLM."""
