"""The network layer of SciDB: a server for several people, and its client.

It is not built yet; this package names nothing.
"""
