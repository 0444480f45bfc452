"""From a graph to a TensorRT engine in the cache, and from there to a session."""
