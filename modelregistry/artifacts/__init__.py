"""Storages: where the bytes of an artifact lie, one small file per kind."""
