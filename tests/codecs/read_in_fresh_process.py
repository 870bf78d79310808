"""Write, for every record of a database, what can be seen of it after loading: one JSON line each."""

from __future__ import annotations

import json
import sys

import scidb
from scidb import BaseVariable
from scidb.testing.looks import look


class Anything(BaseVariable):
    """Values of every family."""


def main(path: str, what: str) -> None:
    """Load everything and write the looks, or the content hashes alone."""
    with scidb.open(path, read_only=True) as db:
        for variable in Anything.load_all(version_id="all", db=db):
            seen = look(variable.data)
            if seen[1] != variable.content_hash:
                raise SystemExit(f"{variable.record_id}: loaded as {seen}, recorded {variable.content_hash}")
            sys.stdout.write(json.dumps([variable.record_id, seen if what == "looks" else seen[1]]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
