"""Flags as every read meets them: what `exclude=` names, and what the records that are read rest on."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from scidb.database.filtering import Filtering
from scidb.exceptions import SciDBError, SciDBWarning, did_you_mean
from scidb.store.model import Flags, Marks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.store.model import Mark, Record

__all__ = ["Excluded", "Marking", "mark_text", "reasons_text"]

Excluded: TypeAlias = "bool | tuple[str, ...]"


class Marking(Filtering):
    """What reads need to know of flags; in a database without any, nothing is asked."""

    def excluded(self, exclude: object) -> Excluded:
        """Return which flags `exclude=` names, as a store is asked: all (True), or reasons.

        Raises
        ------
        SciDBError
            When it names none.

        """
        if exclude is True or exclude is False:
            return exclude
        given = () if exclude is None else (exclude,) if isinstance(exclude, str) else exclude
        names = tuple(given) if isinstance(given, Iterable) else (given,)
        if not all(isinstance(name, str) for name in names):
            raise SciDBError(
                f"exclude={exclude!r}: name the flags to leave out by their reasons, exclude=['electrode 7 bad'], or "
                "write exclude=True for any."
            )
        if names and self._info.has_flags:
            self._say_if_no_flag(names)
        return names or False

    def _say_if_no_flag(self, names: Sequence[str]) -> None:
        """Warn of a reason that nothing is flagged by, since misspelt it would let bad data through unseen."""
        known = {flag.reason for flag in self._store.find(Flags()) if not flag.is_pin}
        for name in names:
            if name not in known:
                warnings.warn(
                    f"exclude: no record is flagged {name!r}, so nothing is left out by it.{did_you_mean(name, known)}",
                    SciDBWarning,
                    stacklevel=5,
                )

    def marks_on(self, record_ids: Iterable[str], as_of: str | None = None) -> Mapping[str, list[Mark]]:
        """Return what records rest on, by their ids: flags of their own, and those of what they were made from."""
        found: dict[str, list[Mark]] = defaultdict(list)
        if self._info.has_flags:
            for mark in self._store.find(Marks(tuple(dict.fromkeys(record_ids)), as_of=as_of)):
                found[mark.record_id].append(mark)
        return found

    def flagged_among(self, entries: Sequence[Any], exclude: Excluded) -> dict[str, str]:
        """Return why records are left out by `exclude`, in words, by their ids."""
        if exclude is False or not self._info.has_flags or not entries:
            return {}
        ids = tuple(dict.fromkeys(entry.record_id for entry in entries))
        reasons = None if exclude is True else exclude
        words: dict[str, dict[str, None]] = defaultdict(dict)
        for mark in self._store.find(Marks(ids, reasons)):
            words[mark.record_id][mark_text(mark)] = None
        return {record_id: "; ".join(texts) for record_id, texts in words.items()}

    def reasons_for(self, record: Record) -> dict[str, str]:
        """Return the reasons for which a record is flagged, each with words on which record is."""
        found: dict[str, str] = {}
        for mark in self.marks_on([record.record_id]).get(record.record_id, ()):
            said = mark_text(mark)
            found[mark.reason] = f"{found[mark.reason]}; {said}" if mark.reason in found else said
        return found


def mark_text(mark: Mark) -> str:
    """Say why a record is flagged: by itself, or through another one."""
    if mark.flagged == mark.record_id:
        return f"flagged {mark.reason!r}"
    return f"made from {mark.flagged[:12]}, which is flagged {mark.reason!r}"


def reasons_text(marks: Iterable[Mark]) -> str:
    """Return the reasons of flags, each once."""
    return "; ".join(dict.fromkeys(mark.reason for mark in marks))
