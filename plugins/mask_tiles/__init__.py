"""The list of a mask's tiles, made once for all layers under the mask."""
