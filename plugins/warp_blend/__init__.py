"""The last step of flow-based interpolation: warp both frames, merge, add the residual."""
