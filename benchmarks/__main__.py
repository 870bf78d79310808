"""``python -m benchmarks [GROUP ...] [--quick] [--json FILE]``: measure, print a table, exit 1 on a broken promise."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import environment, table, to_json

GROUPS = (
    "saving",
    "single",
    "digests",
    "values",
    "rerun",
    "memo",
    "parallel",
    "status",
    "addressing",
    "growth",
    "importing",
    "network",
    "others",
)

# Of these no promise tells; a quick run has them when they are named.
BESIDE = frozenset({"rerun", "addressing", "others"})


def main() -> int:
    """Run the groups that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"some of {', '.join(GROUPS)}; all if left out")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round instead of nine, less work, and without comparisons of which no promise tells",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round, machine and versions")
    arguments = parser.parse_args()
    if unknown := set(arguments.groups) - set(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    # An installed package has its modules compiled; without this, processes of their own would measure the compiler.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    comparisons = []
    for group in arguments.groups or [name for name in GROUPS if not (arguments.quick and name in BESIDE)]:
        with tempfile.TemporaryDirectory() as folder:
            module = importlib.import_module(f"benchmarks.{group}")
            comparisons += module.run(Path(folder), 1 if arguments.quick else 9)
    print(", ".join(f"{name} {version}" for name, version in environment().items()))
    print(table(comparisons))
    if arguments.json:
        arguments.json.write_text(to_json(comparisons))
    return 0 if all(item.holds for item in comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
