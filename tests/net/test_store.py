"""A store behind HTTP passes the conformance suite, against a real server process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.net.serving import serve

from scidb.testing import StoreTests
from scidbnet.client import HttpStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scidb.store.model import SchemaKey
    from scidb.store.protocol import Store


class TestHttpStore(StoreTests):
    def make_store(self, schema_keys: Sequence[SchemaKey], tmp_path: Path) -> Store:
        return HttpStore(serve(schema_keys, verified=False, allow_sql=True))

    def reopen(self, store: Store) -> Store:
        target = store.describe().target
        store.close()
        return HttpStore(target)
