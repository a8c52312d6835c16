"""Credentials in what is about to leave this host."""
