"""Sockets, timers and threads around the engine."""
