"""What tests of SciDB and of code that uses it share; needs the ``testing`` extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scidb.testing.stores import StoreTests

__all__ = ["StoreTests"]

# Their asserts explain themselves only when pytest rewrites the modules before their first import.
pytest.register_assert_rewrite("scidb.testing.store_suite", "scidb.testing.stores", "scidb.testing.machine")


def __getattr__(name: str) -> object:
    # Late, so that what else lives here comes without Arrow.
    if name == "StoreTests":
        from scidb.testing.stores import StoreTests

        return StoreTests
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
