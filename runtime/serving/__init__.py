"""Graphs on inference servers: the model repository that a server reads, and a session that asks a server."""
