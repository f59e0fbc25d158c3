"""What a DVC project says at a commit: its files read as text, its steps, metrics and declarations."""
