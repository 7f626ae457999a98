"""Reads a request's signals and chooses its target by the SemanticRoute in force."""
