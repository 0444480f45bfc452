"""Graph rewrites: one pass a file."""
