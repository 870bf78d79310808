"""The fingerprint of code: what a function reaches, what of it counts, and what differs between two of them."""
