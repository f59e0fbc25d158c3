"""Searches: their language, and what they find."""
