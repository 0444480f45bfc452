"""A 3×3 convolution that is computed only where a mask is set."""
