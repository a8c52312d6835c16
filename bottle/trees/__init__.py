"""What a folder holds, what has changed in it since, and the layer that says so."""
