"""Test doubles of Pointsman, shipped as a feature."""
