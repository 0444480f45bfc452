"""Bilinear backward warping onto a grid that is coarser than the flow's."""
