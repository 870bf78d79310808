"""Flags: what somebody says of records, and everything that rests on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scidb.database.marking import mark_text
from scidb.database.tracing import Tracing
from scidb.exceptions import NotFoundError, SciDBError
from scidb.listing import Listing
from scidb.records import place, version_keys_of
from scidb.store.model import Batch, Flag, Flagged, Flags, Match, Records, Unflagged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.database.finding import RecordLike
    from scidb.filters import Filter
    from scidb.provenance.impact import Impact
    from scidb.store.model import Record

__all__ = ["FlagList", "Flagging"]


class FlagList(Listing[Flag]):
    """Flags in the order of flagging; what `DatabaseManager.flags` returns."""

    def __init__(self, flags: Sequence[Flag], records: Mapping[str, Record]) -> None:
        super().__init__(flags)
        self._records = records

    @property
    def title(self) -> str:
        """How many flags and pins there are."""
        pins = sum(flag.is_pin for flag in self)
        flags = len(self) - pins
        parts = [
            f"{count} {word}{'' if count == 1 else 's'}" for count, word in ((flags, "flag"), (pins, "pin")) if count
        ]
        return ", ".join(parts) or "no flags"

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict per flag: reason, pin, record_id, variable, metadata, user_id and timestamp."""
        return [
            {
                "reason": flag.reason,
                "pin": flag.is_pin,
                "record_id": flag.record_id,
                "variable": self._records[flag.record_id].variable if flag.record_id in self._records else None,
                "metadata": self._metadata(flag),
                "user_id": flag.user_id,
                "timestamp": flag.timestamp,
            }
            for flag in self
        ]

    def _metadata(self, flag: Flag) -> dict[str, Any]:
        record = self._records.get(flag.record_id)
        return {**record.schema, **version_keys_of(record)} if record else {}

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        rows = [
            [
                f"{one['reason']}{' (pinned)' if one['pin'] else ''}",
                one["variable"] or "",
                place(one["metadata"]),
                one["record_id"][:12],
                one["user_id"] or "",
                one["timestamp"][:19].replace("T", " "),
            ]
            for one in self.to_dicts()
        ]
        return ["flag", "variable", "where", "record", "by", "when"], rows


class Flagging(Tracing):
    """flag, unflag, flags, impact."""

    def flag(
        self,
        record: RecordLike,
        /,
        reason: str,
        pin: bool = False,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> FlagList:
        """Say what is wrong with records; everything that was made from them shows it, and can be left out.

        Nothing is deleted or computed: reads and for_each leave flagged values out with ``exclude=``. Who flagged
        what, when and why stays in the database, also after `unflag`.

        Parameters
        ----------
        record
            A value, a record_id or the beginning of one, or a variable; then all of its latest values that match.
        reason
            What is wrong, in a few words. It is the name of the flag, by which ``exclude=`` finds it.
        pin
            Say instead why the record must be kept when results are pruned. A pin is no complaint.
        where, as_of, params, **metadata
            Which values of a variable, as in `load`.

        Returns
        -------
        FlagList
            The flags of these records.

        Raises
        ------
        NotFoundError
            When there is no such record.
        SciDBError
            When the reason is empty.

        Examples
        --------
        >>> import scidb
        >>> class Emg(scidb.BaseVariable):
        ...     \"\"\"Muscle activity.\"\"\"
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     _ = db.save_many(Emg, [(1.5, {"subject": 1}), (99.0, {"subject": 2})])
        ...     _ = db.flag(Emg, "electrode 7 bad", subject=2)
        ...     [value.data for value in db.load_all(Emg, exclude=True)]
        [1.5]

        """
        found = self.find_meant(record, where=where, as_of=as_of, params=params, **metadata)
        ids = tuple(dict.fromkeys(one.record_id for one in found))
        event = Flagged(ids, _checked_reason(reason), _checked_pin(pin), self._user)
        self._store.write(Batch(events=(event,)))
        return self._flag_list(self._store.find(Flags(ids)))

    def unflag(
        self,
        record: RecordLike,
        /,
        reason: str | None = None,
        pin: bool = False,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> FlagList:
        """Take flags back: the one of this reason, or all of a record; with ``pin=True``, pins.

        That it was flagged, and by whom that was taken back, stays in the database.

        Returns
        -------
        FlagList
            The flags that were taken back.

        Raises
        ------
        NotFoundError
            When none of the records has such a flag itself; flags on what it was made from are taken back there.

        """
        found = self.find_meant(record, where=where, as_of=as_of, params=params, **metadata)
        ids = tuple(dict.fromkeys(one.record_id for one in found))
        pin = _checked_pin(pin)
        standing = [
            flag for flag in self._store.find(Flags(ids)) if flag.is_pin is pin and reason in (None, flag.reason)
        ]
        if not standing:
            raise self._no_flag(found, reason, is_pin=pin)
        by_reason: dict[str, list[str]] = {}
        for flag in standing:
            by_reason.setdefault(flag.reason, []).append(flag.record_id)
        events = tuple(Unflagged(tuple(of), text, pin, self._user) for text, of in by_reason.items())
        taken = self._flag_list(standing)
        self._store.write(Batch(events=events))
        return taken

    def _no_flag(self, found: Sequence[Record], reason: str | None, *, is_pin: bool) -> NotFoundError:
        first = found[0]
        what = "pin" if is_pin else "flag"
        named = "" if reason is None else f" {reason!r}"
        marks = [mark for of in self.marks_on(one.record_id for one in found).values() for mark in of]
        hint = f" It is {mark_text(marks[0])}." if marks and not is_pin else ""
        others = " and the others" if len(found) > 1 else ""
        return NotFoundError(
            f"{first.variable} at {place(first.schema)}{others} has no {what}{named} "
            f"of its own to take back.{hint} db.flags() lists all flags.",
            record_id=first.record_id,
        )

    def flags(
        self,
        record: RecordLike | None = None,
        /,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> FlagList:
        """Return the flags and pins that stand: of some records, or of all; until `as_of`."""
        if record is None:
            if metadata or params or where is not None:
                raise SciDBError("Say of which variable: db.flags(RawEMG, subject=1), or db.flags() for all flags.")
            return self._flag_list(self._store.find(Flags(as_of=self._instant(as_of))))
        found = self.find_meant(record, where=where, as_of=as_of, params=params, **metadata)
        ids = tuple(dict.fromkeys(one.record_id for one in found))
        return self._flag_list(self._store.find(Flags(ids, self._instant(as_of))))

    def _flag_list(self, flags: Sequence[Flag]) -> FlagList:
        ids = tuple(dict.fromkeys(flag.record_id for flag in flags))
        records = self._store.find(Records(Match(record_ids=ids))) if ids else []
        return FlagList(flags, {record.record_id: record for record in records})

    def impact(
        self,
        record: RecordLike,
        /,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Impact:
        """Return everything that was ever made from records, down to the files that left the database.

        Results that have been superseded since are among it, marked as such.

        Parameters
        ----------
        record
            A value, a record_id or the beginning of one, or a variable; then all of its latest values that match.
        where, as_of, params, **metadata
            Which values of a variable, as in `load`.

        Examples
        --------
        >>> import scidb
        >>> class Emg(scidb.BaseVariable):
        ...     \"\"\"Muscle activity.\"\"\"
        >>> class Peak(scidb.BaseVariable):
        ...     \"\"\"Its largest value.\"\"\"
        >>> def peak(emg):
        ...     return max(emg)
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     _ = db.save(Emg, [0.5, 2.5], subject=1)
        ...     _ = scidb.for_each(peak, {"emg": Emg}, [Peak], subject=[], db=db)
        ...     [(row.kind, row.name, row.function) for row in db.impact(Emg, subject=1)]
        [('record', 'Peak', 'peak')]

        """
        from scidb.provenance.impact import impact_of

        found = self.find_meant(record, where=where, as_of=as_of, params=params, **metadata)
        distinct = {one.record_id: one for one in found}
        return impact_of(self._store, list(distinct.values()), has_flags=self._info.has_flags)


def _checked_reason(reason: object) -> str:
    if not isinstance(reason, str) or not reason.strip():
        raise SciDBError(f"reason={reason!r}: say in a few words what is wrong, such as 'electrode 7 bad'.")
    return reason.strip()


def _checked_pin(pin: object) -> bool:
    if type(pin) is not bool:
        raise SciDBError(f"pin={pin!r}: True or False.")
    return pin
