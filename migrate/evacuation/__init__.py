"""Many bottles that leave a host together: one plan over all of them, then a move each."""
