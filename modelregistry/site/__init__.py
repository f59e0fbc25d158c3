"""A static site of a registry."""
