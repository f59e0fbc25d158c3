"""Model cards: what is in them and where it comes from."""
