"""The agents of a manifest: their entries, what those may ask for, and their Dockerfiles."""
