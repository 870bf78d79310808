"""The process: its settings, its life from listening to the last byte, what it logs and counts."""
