"""The benchmark: Pointsman beside LiteLLM's proxy and bare nats-py, in one run on one machine.

Owns the stub, the load client, the contenders' processes, the figures and their report.
`python -m pointsman.loadgen.bench --help` says what it can do.
"""
