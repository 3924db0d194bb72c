"""Faults, made on purpose."""

from __future__ import annotations


class Faults:
    watching = False

    def __init__(self, seed=0): ...

    def connected(self, connection): ...
    def next_timeout(self):
        return None

    def handle_timeout(self, now): ...
    def refuses_reattachment(self):
        return False
