"""The other host of a move: what it is and has, what is brought there, and what it is told to do."""
