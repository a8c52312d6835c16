"""The `bottle` command: the only part of bottle that prints."""
