"""The HTTP side of ingress: routes, streams, and the OpenAI shapes they speak."""
