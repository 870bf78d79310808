"""What travels between client and server: JSON for small things, Arrow IPC for data, in a stream of parts."""
