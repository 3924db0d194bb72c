"""Tests against a real Artemis and a real Toxiproxy, and the harness that provides both.

Law: nothing here imports the client. The harness must be right even when the client is wrong.
"""
