"""Backends: where the log is kept, one small file per kind."""
