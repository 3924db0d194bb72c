"""The command line: one file for each command, `app` brings them together.

Law of this package: a command calls the public API and prints; it holds no rule of the client. Nothing outside of it
imports typer or rich.
"""
