"""The command line: one file for each command.

Law of this package: a command calls the public API and prints; it holds no rule of its own.
"""
