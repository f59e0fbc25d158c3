"""Mutation testing of the rules and of the one place that creates references: `python -m nox -s mutants`."""
