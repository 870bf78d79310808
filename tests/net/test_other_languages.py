"""The page for people with curl: its examples run against a real server, and its tables are what the code has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.net.serving import serve

import scidb
from scidb import BaseVariable, schema_key
from scidb.filters import Filter
from scidb.store.model import SchemaKey
from scidbnet.serialization import FORMATS
from scidbnet.server.routes import aliases

PAGE = Path(__file__).parents[2].joinpath("docs/how-to/other-languages.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TOOLS = os.name == "posix" and all(map(shutil.which, ("bash", "curl")))


@pytest.mark.skipif(not TOOLS, reason="bash and curl are not on this machine")
def test_the_examples_run(tmp_path: Path) -> None:
    """Each block is accepted by a server, and prints what stands below it."""
    address = serve([SchemaKey("subject"), SchemaKey("session")])
    script = "set -eu\n"
    for kind, block in BLOCKS:
        script += block if kind == "bash" else "echo '#####'\n"
        if kind == "bash":
            script += "echo '----'\n"
    script = script.replace("http://localhost:8765", address)

    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert run.returncode == 0, run.stdout + run.stderr
    shown = [before.split("----\n")[-2].strip() for before in run.stdout.split("#####")[:-1]]
    assert shown == [block.strip() for kind, block in BLOCKS if kind == "text"]
    with scidb.open(address) as db:
        assert sorted(one.data for one in db.load_all("StepLength")) == [0.66, 0.69, 0.71]
        made = db.get_provenance("MeanStep", session="pre")
    assert made is not None
    assert made["function_name"] == "mean_step.R"
    assert (tmp_path / "value.bin").read_bytes().endswith(b"0.69\n")


def test_the_page_has_every_route_and_its_role() -> None:
    """The table of routes is that of the server."""
    rows = re.findall(r"^\| `(/\w+)` \| (\w+) \|", PAGE, re.MULTILINE)

    assert dict(rows) == aliases.ROLES


def test_the_page_has_every_format() -> None:
    """The table of formats is that of the code."""
    assert [name for name in re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) if name in FORMATS] == list(FORMATS)


class Side(BaseVariable):
    pass


class Emg(BaseVariable):
    pass


def test_the_filters_of_the_page_are_those_of_python() -> None:
    """Each JSON of a filter is what its Python makes, and is read as the same filter."""
    shown = [json.loads(text) for text in re.findall(r'\| `(\{"filter": .*?\})` \|$', PAGE, re.MULTILINE) if "f" not in
             re.findall(r": (\w+)[,}]", text)]  # fmt: skip
    filters = [
        schema_key("subject") >= 3,
        schema_key("subject").isin([1, 2]),
        Side == "L",
        Side.isin(["L"]),
        Emg["rms"].any() > 3,
        Side.isna(),
    ]

    assert shown == [one.to_json() for one in filters]
    assert [Filter.from_json(data) for data in shown] == filters
