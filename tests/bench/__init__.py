"""The benchmark: `python -m tests.bench` measures what a call costs beside git, GTO, DVC and bare scripts."""
