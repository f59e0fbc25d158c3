"""Whom the one who loads believes, and what they allow."""
