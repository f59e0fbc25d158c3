"""How versions leave: what lies at a target, and how it is written and checked."""
