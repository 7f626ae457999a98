"""Blocks attacks and masks personal data before a model sees them."""
