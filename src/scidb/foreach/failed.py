"""Results that stand although a newer run failed at their place: said where they are used."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Entry, Recorder

__all__ = ["failed_since", "warn_of_failed"]

logger = logging.getLogger("scidb.foreach")

_LISTED: Final = 3


def failed_since(recorder: Recorder, tasks: Sequence[Task]) -> Mapping[str, str]:
    """Return those of the inputs and standing results at whose place a newer run failed, with its error."""
    used = {entry.record_id: entry for task in tasks for entries in task.entries.values() for entry in entries}
    used.update((entry.record_id, entry) for task in tasks for entry in task.standing if entry is not None)
    return recorder.failed_since(list(used.values())) if used else {}


def warn_of_failed(function: str, tasks: Sequence[Task], failed: Mapping[str, str]) -> None:
    """Say of each input variable at which places its latest values are from before a run that failed there."""
    found: dict[str, dict[str, Entry]] = defaultdict(dict)
    for task in tasks if failed else ():
        for entries in task.entries.values():
            for entry in entries:
                if entry.record_id in failed:
                    found[entry.variable][entry.record_id] = entry
    for variable, doubted in found.items():
        listed = [_words(entry, failed[record_id]) for record_id, entry in list(doubted.items())[:_LISTED]]
        logger.warning(
            "%s() uses %d value%s of %s from before a run that failed there: %s%s. Later runs go on using them until "
            "that step succeeds; to leave them out, flag them and use exclude=.",
            function,
            len(doubted),
            "s" if len(doubted) > 1 else "",
            variable,
            "; ".join(listed),
            f"; and {len(doubted) - _LISTED} more" if len(doubted) > _LISTED else "",
        )


def _words(entry: Entry, error: str) -> str:
    place = ", ".join(f"{key}={value!r}" for key, value in entry.schema.items()) or "the whole dataset"
    return f"{place} ({error})"
