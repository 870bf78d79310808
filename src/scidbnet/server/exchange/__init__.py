"""What comes in and goes out: bodies, streams, answers; whether a write is what it claims to be, and stored once."""
