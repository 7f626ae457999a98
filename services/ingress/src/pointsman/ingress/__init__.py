"""The HTTP edge: OpenAI Chat Completions in, durable requests out, answers back."""
