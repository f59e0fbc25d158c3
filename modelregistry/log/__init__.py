"""The log of a model: its events, what they fold to, and the rules by which more are written."""
