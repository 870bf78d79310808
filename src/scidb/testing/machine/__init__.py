"""Random operations on a store, with the reference store as the oracle.

A store's tests give the machine a way to make one, and run it::

    class MyMachine(StoreMachine):
        def make_store(self, schema_keys, folder, clock):
            return MyStore(folder / "study", schema_keys, clock=clock)

    def test_random_operations():
        run_state_machine_as_test(MyMachine)
"""

from __future__ import annotations

from scidb.testing.machine.asking import Asking
from scidb.testing.machine.changing import Changing

__all__ = ["StoreMachine"]


class StoreMachine(Changing, Asking):
    """Do the same to a store and to the reference store; they must never differ."""
