"""Write docs/reference/server-settings.md: every setting of the server, with its three names and its default.

``python docs/generate_settings.py``. The page is checked in, and a test compares it with what this script would write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scidbnet.server.program.options import SETTINGS, Setting

__all__ = ["PAGE", "render"]

PAGE: Final = Path(__file__).parent / "reference" / "server-settings.md"

_INTRODUCTION: Final = """# Settings of the server

<!-- Written by docs/generate_settings.py. -->

A flag of `scidb serve`, or of `scidb-server`, wins over the environment variable, that over a line under `[server]` in
`scidb.toml` of the working directory, and that over the default. A wrong value is an error that names where it stands.
A switch is turned off by `--no-...`; in a variable it is `true` or `false`. Sizes may have a unit: `64MiB`.
How they are used: [Run the server](../how-to/run-the-server.md).

| flag | variable | in `[server]` | default | what it is |
|---|---|---|---|---|
"""


def render() -> str:
    """Return the page."""
    return _INTRODUCTION + "".join(f"{_row(setting)}\n" for setting in SETTINGS)


def _row(setting: Setting) -> str:
    flag = "PATH" if setting.name == "dataset_db_path" else setting.flag
    default = f"`{setting.shown}`" if setting.shown else ""
    return f"| `{flag}` | `{setting.variable}` | `{setting.name}` | {default} | {setting.help} |"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
