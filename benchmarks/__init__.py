"""Peers side by side on one broker in one run; `python -m benchmarks` is the command.

Law of this package: every peer is its own process, does the same work under the same rules, and is judged by ratios
within one round. Never part of the tests.
"""
