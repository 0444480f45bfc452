"""Attention inside square windows of a token map, with centred padding and an optional cyclic shift."""
