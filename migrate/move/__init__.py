"""A move: facts, plan, steps."""
