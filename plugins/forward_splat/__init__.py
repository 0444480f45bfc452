"""Forward warping by average splatting."""
