"""The demo rig: simulated models, scenarios, load and the report."""
