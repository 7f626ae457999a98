"""What every part agrees on: messages, the bus, the graph, errors. Knows only pydantic."""
