"""Exporters: from a verified version to the files that others take it from, one small file per format."""
