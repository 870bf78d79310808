"""What the pages about the server show is what the server takes: flags, settings, unit file, container file."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Final

import pytest

import scidb
from scidbnet.server.program.options import SETTINGS, read_options
from scidbnet.wire.versions import PREFIX

DOCS: Final = Path(__file__).parents[2] / "docs/how-to"
SHARE: Final = (DOCS / "share-a-database.md").read_text(encoding="utf-8")
RUN: Final = (DOCS / "run-the-server.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", RUN, re.MULTILINE | re.DOTALL)
    return str(found)


def flags_of(command: str) -> dict[str, object]:
    """Return what a command line says, by setting; a flag that there is not is a KeyError."""
    known = {setting.flag: setting for setting in SETTINGS}
    words = iter(shlex.split(command))
    flags: dict[str, object] = {"dataset_db_path": next(words)}
    for word in words:
        setting = known[word]
        flags[setting.name] = True if setting.is_switch else next(words)
    return flags


@pytest.mark.parametrize(
    "command", re.findall(r"(?:scidb serve|scidb-server) (\S+\.duckdb[^`\n(]*)", SHARE.replace("\\\n", ""))
)
def test_the_commands_of_the_page_are_understood(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `scidb serve` line has flags that there are, with values that they take."""
    monkeypatch.chdir(tmp_path)
    scidb.open("study.duckdb", ["subject", "trial"]).close()

    assert read_options(flags_of(command)).dataset_db_path == "study.duckdb"


def test_the_settings_file_of_the_page_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scidb.toml of the page is taken as it stands."""
    monkeypatch.chdir(tmp_path)
    scidb.open("study.duckdb", ["subject"]).close()
    Path("scidb.toml").write_text(block("toml"), encoding="utf-8")

    options = read_options({})

    assert tomllib.loads(block("toml"))["server"].keys() <= set(options.__dataclass_fields__)
    assert (options.host, options.body_limit) == ("0.0.0.0", 2 * 2**30)


def test_the_unit_file_is_one() -> None:
    """The systemd unit parses, runs the program, and gives it longer to stop than it takes."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]  # the documented way to keep case
    unit.read_string(block("ini"))

    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    service = unit["Service"]
    assert Path(service["ExecStart"]).name == "scidb-server"
    assert float(service["TimeoutStopSec"]) > next(one.default for one in SETTINGS if one.name == "shutdown_timeout")
    assert service["WorkingDirectory"] == service["ReadWritePaths"]


def test_the_container_file_is_one() -> None:
    """Each line is an instruction; the program and its flags are those that there are, and so is what asks it."""
    instructions = [line.split(" ", 1) for line in block("dockerfile").splitlines()]
    said = dict(instructions)

    assert {name for name, _ in instructions} <= {
        *("FROM", "COPY", "RUN", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT")
    }
    program, *arguments = json.loads(said["ENTRYPOINT"])
    assert program == "scidb-server"
    assert flags_of(shlex.join(arguments))["host"] == "0.0.0.0"
    assert json.loads(said["HEALTHCHECK"].removeprefix("CMD "))[0] == "python"
    assert f"{PREFIX}/ready" in said["HEALTHCHECK"]
    default = next(one.default for one in SETTINGS if one.name == "port")
    assert said["EXPOSE"] == str(default)
