"""Tests of writers: their options, their stores, and what they deliver."""
