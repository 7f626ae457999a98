"""Pure decisions of the executor: what is sent, what came back, which tool calls may run."""
