"""Git: called, read, shared and written through these doors, and no other."""
