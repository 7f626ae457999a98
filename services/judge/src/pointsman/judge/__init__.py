"""Says whether an answer is good enough, or that it cannot tell."""
