"""What every part of Pointsman agrees on: messages, the bus, the graph, errors. Knows only pydantic."""
