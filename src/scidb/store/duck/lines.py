"""What the chain of the log vouches for in each of its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["log_line"]


def log_line(
    record_id: str, stamp: str, identity_name: str, texts: Mapping[str, str], version_keys: str, content_hash: str,
    lineage_id: str | None, schema_version: int, user_id: str | None, seq: int, call_id: str | None,
    output_num: int | None, piece: int | None, pieces: int | None,
) -> list[object]:  # fmt: skip
    """Return all that a line says, and no number that only this file knows.

    The variable goes by its first name and the place by its given keys, so that neither renaming a variable nor adding
    a schema key breaks the chain.
    """
    return [
        record_id, stamp, identity_name, texts, version_keys, content_hash, lineage_id, schema_version, user_id, seq,
        call_id, output_num, piece, pieces,
    ]  # fmt: skip
