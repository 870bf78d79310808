"""Reproducing: computing a record again in a fresh process, and saying how well it agrees."""
