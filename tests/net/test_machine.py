"""Random operations leave a store behind HTTP as they leave the reference store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.net.serving import serve

from scidb.testing.machine import StoreMachine
from scidbnet.client import HttpStore

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scidb.store.model import SchemaKey
    from scidb.store.protocol import Store


class HttpMachine(StoreMachine):
    """A store on a server, which reads its own clock; a client comes back as often as it likes."""

    def make_store(self, schema_keys: Sequence[SchemaKey], folder: Path, clock: Callable[[], dt.datetime]) -> Store:
        return HttpStore.open(serve(schema_keys, verified=False, allow_sql=True))

    def reopen(self, store: Store) -> Store:
        target = store.describe().target
        store.close()
        return HttpStore.open(target)


def test_random_operations() -> None:
    """The machine finds no difference."""
    run_state_machine_as_test(HttpMachine, settings=settings(max_examples=2, stateful_step_count=20, deadline=None))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_random_operations_at_length() -> None:
    """The same, many times over."""
    run_state_machine_as_test(HttpMachine, settings=settings(max_examples=150, deadline=None))
