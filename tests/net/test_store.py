"""A store behind HTTP passes the conformance suite, against a real server process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.net.serving import serve

from scidb.testing import StoreTests
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.describing import DescribingCases
from scidb.testing.store_suite.keying import KeyCases
from scidb.testing.store_suite.payloads import PayloadCases
from scidb.testing.store_suite.saving import SavingCases
from scidbnet.client import HttpStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scidb.store.model import SchemaKey
    from scidb.store.protocol import Store


class _OverHttp(StoreCases):
    def make_store(self, schema_keys: Sequence[SchemaKey], tmp_path: Path) -> Store:
        return HttpStore(serve(schema_keys, verified=False, allow_sql=True))

    def reopen(self, store: Store) -> Store:
        target = store.describe().target
        store.close()
        return HttpStore(target)


@pytest.mark.slow
class TestHttpStore(_OverHttp, StoreTests):
    """All of it."""


@pytest.mark.slow
class TestHttpStoreCompressed(StoreTests):
    """All of it, by a client that compresses whatever it sends, and asks for the same."""

    @pytest.fixture(autouse=True)
    def _from_the_first_byte(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("scidbnet.client.transport.COMPRESSED_FROM", 1)

    def make_store(self, schema_keys: Sequence[SchemaKey], tmp_path: Path) -> Store:
        return HttpStore(serve(schema_keys, verified=False, allow_sql=True), compress=True)

    def reopen(self, store: Store) -> Store:
        target = store.describe().target
        store.close()
        return HttpStore(target, compress=True)


class TestHttpStoreBriefly(_OverHttp, DescribingCases, SavingCases, PayloadCases, KeyCases):
    """What the other verbs rest on."""
