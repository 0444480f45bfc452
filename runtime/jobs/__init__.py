"""A video's drawing cut into jobs, done elsewhere, kept in a folder, and joined to the file that one process writes."""
