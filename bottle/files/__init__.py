"""Files at any depth: walked, written, removed, received from tars; and what is lost of them."""
