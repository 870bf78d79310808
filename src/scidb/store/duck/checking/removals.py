"""Whether what was erased is gone from the file, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scidb.store.duck.checking.findings import Findings

__all__ = ["check_removals"]


def check_removals(found: Findings) -> None:
    """Name the erasures after which the file was not written anew."""
    if found.has("_removals"):
        for (stamp,) in found.ask("_removals", "SELECT timestamp FROM _removals WHERE NOT rewritten ORDER BY ALL"):
            what = (
                f"An erasure was interrupted on {stamp}, before the file was written anew: bytes of what it removed "
                "may still be there. `scidb compact` completes it."
            )
            found.add("erased", what, table="_removals")
