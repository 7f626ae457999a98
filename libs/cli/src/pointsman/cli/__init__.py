"""The pointsman command: the platform on a laptop, and an operator's tools."""
