"""Loaders: from verified bytes to an object, one small file per family of formats."""
