"""Keeps the append-only ledger of tokens, money and outcomes."""
