"""Where the engine's events become log lines."""
