"""Bilinear backward warping by a flow field."""
