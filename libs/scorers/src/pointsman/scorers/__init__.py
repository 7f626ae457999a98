"""Learned scorers: their file, and the arithmetic that applies them. NumPy alone."""
