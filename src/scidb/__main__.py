"""``python -m scidb`` is ``scidb``."""

from __future__ import annotations

from scidb.cli import main

if __name__ == "__main__":
    main()
