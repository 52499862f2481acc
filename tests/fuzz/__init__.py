"""Damaged and hostile files, made by the thousand: `python -m tests.fuzz [--seconds N] [--seed N] [TARGET…]`."""
