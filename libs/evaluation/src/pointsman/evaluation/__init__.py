"""Trains the learned scorers and measures routing and judging on recorded data; never imported by what runs."""
