"""How a command reaches another host, and its answer comes back."""
