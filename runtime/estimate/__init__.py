"""How long a graph takes at least on a device: what its layers compute and move, against a data sheet."""
