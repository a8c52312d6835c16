"""Tars and their compression: read strictly, written byte for byte."""
