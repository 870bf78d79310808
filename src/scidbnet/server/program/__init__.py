"""The process: its settings, its life from listening to the last byte, and what it logs."""
