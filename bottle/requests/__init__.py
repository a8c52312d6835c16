"""Capability requests: what counts as one, and the side that asks from inside a bottle."""
