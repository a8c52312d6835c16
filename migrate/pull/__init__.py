"""A move that the destination asked for: its owner is served here, and trusted with nothing."""
