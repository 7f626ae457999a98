"""all-MiniLM-L6-v2 on ONNX Runtime: one encoder a process, shared by whoever embeds."""
