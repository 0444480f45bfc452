"""The networks: one family a file, with the authors' key names so that their checkpoints load unchanged."""
