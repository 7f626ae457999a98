"""Trains the learned scorers and measures routing and judging on recorded data.

Development only: nothing that runs imports it.
"""
