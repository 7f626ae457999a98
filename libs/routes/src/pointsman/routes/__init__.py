"""SemanticRoute and the model registry: what an operator declares. Pure; no network, no clock."""
