"""Tars that nobody vouches for: read strictly, by one reader, and held to rules."""
