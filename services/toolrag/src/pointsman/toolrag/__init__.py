"""Binds the few tools that complete a task."""
