"""Building blocks that several network families share, with the key names that their checkpoints use."""
