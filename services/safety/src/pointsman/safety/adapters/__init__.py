"""What safety uses from outside: the guardrails-ai framework. The vault is the runtime's bus."""
