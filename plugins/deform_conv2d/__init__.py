"""Modulated deformable convolution, version 2."""
