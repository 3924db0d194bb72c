"""Protocol and reconnection as state machines without I/O."""
