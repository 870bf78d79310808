"""Promises about speed, as ratios measured side by side; see ``python -m benchmarks --help``."""
