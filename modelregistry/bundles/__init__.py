"""Versions in one file, to be carried where no network leads."""
