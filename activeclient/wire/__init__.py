"""Bytes to values and back: frames, fields, packets and messages of the CORE protocol; nothing else."""
