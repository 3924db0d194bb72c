"""Tests of applications: handlers, retries, dead letters, and how they end."""
