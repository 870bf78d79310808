"""The cases of ``scidb.testing.stores.StoreTests``, one module per idea."""
