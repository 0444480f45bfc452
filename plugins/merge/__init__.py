"""The last step of flow-based interpolation straight into frames of bytes, for engines that stop before it."""
