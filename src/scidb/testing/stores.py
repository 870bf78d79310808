"""The conformance suite of the store protocol.

A store is one when a test class that inherits from `StoreTests` passes::

    class TestMyStore(StoreTests):
        def make_store(self, schema_keys, tmp_path):
            return MyStore(tmp_path / "study", schema_keys)

        def reopen(self, store):
            store.close()
            return MyStore(...)
"""

from __future__ import annotations

from scidb.testing.store_suite.answering import AnswerCases
from scidb.testing.store_suite.computing import ComputingCases
from scidb.testing.store_suite.describing import DescribingCases
from scidb.testing.store_suite.filtering import FilteringCases, FilterRefusalCases
from scidb.testing.store_suite.flagging import FlagCases
from scidb.testing.store_suite.keying import KeyCases
from scidb.testing.store_suite.labelling import ChangingCases, GroupCases, TagCases
from scidb.testing.store_suite.matching import MatchingCases, OrderCases
from scidb.testing.store_suite.payloads import PayloadCases
from scidb.testing.store_suite.refusing import RefusingCases
from scidb.testing.store_suite.remembering import MemoCases
from scidb.testing.store_suite.removing import RemovingCases
from scidb.testing.store_suite.renaming import RenamingCases
from scidb.testing.store_suite.saving import SavingCases
from scidb.testing.store_suite.sharing import SharingCases
from scidb.testing.store_suite.tracing import EventCases, TracingCases

__all__ = ["StoreTests"]


class StoreTests(
    DescribingCases,
    SavingCases,
    PayloadCases,
    MatchingCases,
    OrderCases,
    FilteringCases,
    FilterRefusalCases,
    KeyCases,
    RefusingCases,
    RemovingCases,
    RenamingCases,
    TracingCases,
    EventCases,
    ComputingCases,
    TagCases,
    GroupCases,
    ChangingCases,
    FlagCases,
    MemoCases,
    SharingCases,
    AnswerCases,
):
    """Every case that a store has to pass.

    Subclasses say how to make an empty store; they may say how to make one with a clock of the tests'
    choice (`make_clocked_store`), and how to close and open one again (`reopen`).
    """
