"""The ledger in a database: its tables, its statements, and the writer that batches them."""
