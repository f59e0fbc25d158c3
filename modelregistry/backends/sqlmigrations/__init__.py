"""How the tables of a log came to be what they are."""
