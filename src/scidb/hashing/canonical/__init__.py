"""The canonical hash: one digest for one value, in every process, on every Python, numpy and pandas."""
