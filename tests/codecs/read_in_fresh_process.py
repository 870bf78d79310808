"""Write, for every record of the databases in a folder, what can be seen of it after loading: a JSON line each."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import scidb
from scidb import BaseVariable
from scidb.testing.looks import look


class Anything(BaseVariable):
    """Values of every family."""


def main(folder: str, what: str) -> None:
    """Load everything and write the looks, or the content hashes alone."""
    for path in Path(folder).glob("*.duckdb"):
        with scidb.open(path, read_only=True) as db:
            for variable in Anything.load_all(version_id="all", db=db):
                seen = look(variable.data)
                if seen[1] != variable.content_hash:
                    raise SystemExit(f"{variable.record_id}: loaded as {seen}, recorded {variable.content_hash}")
                key = f"{path.stem} {variable.record_id}"
                sys.stdout.write(json.dumps([key, seen if what == "looks" else seen[1]]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
