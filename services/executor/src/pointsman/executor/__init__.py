"""Calls one model for one attempt and runs the tools it asks for."""
