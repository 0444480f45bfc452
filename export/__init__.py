"""Checkpoint → verified ONNX. Needs the extra ``export`` (PyTorch); the runtime does not."""
