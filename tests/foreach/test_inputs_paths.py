"""`PathInput`: which files it finds, and which of them a combination gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import scidb
from scidb import BaseVariable, EachOf, Fixed, PathInput, exceptions, for_each

if TYPE_CHECKING:
    from pathlib import Path


class Content(BaseVariable):
    """What is in a file."""


def read(path: Path) -> str:
    return path.read_text()


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(folder: Path, template: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in PathInput(template, root_folder=folder).discover()]


def test_nested_folders_in_order_of_path(tmp_path: Path) -> None:
    """Keys may name folders, and may be repeated; a key never spans folders."""
    make(tmp_path, "S2/S2_a.csv", "S1/S1_b.csv", "S1/S2_b.csv", "S1/deep/S1_c.csv", "S1_d.csv")
    assert found(tmp_path, "{subject}/{subject}_{trial}.csv") == [("S1", "b"), ("S2", "a")]
    assert found(tmp_path, "{subject}/deep/S1_{trial}.csv") == [("S1", "c")]
    assert found(tmp_path, "./{subject}//{subject}_a.csv") == [("S2",)]
    assert found(tmp_path / "nowhere", "{subject}.csv") == []


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    """What a system leaves beside the data is no data, unless the template names it."""
    make(tmp_path, "S1.csv", "._S1.csv", ".cache/S1.csv", "S1/.b.csv", "a.S2.csv")
    (tmp_path / "folder.csv").mkdir()
    assert found(tmp_path, "{subject}.csv") == [("S1",), ("a.S2",)]
    assert found(tmp_path, "{folder}/{subject}.csv") == []
    assert found(tmp_path, ".{folder}/{subject}.csv") == [("cache", "S1")]
    assert found(tmp_path, "a.{subject}.csv") == [("S2",)]


def test_each_combination_has_the_file_that_the_template_names(tmp_path: Path) -> None:
    """Of files whose numbers are equal, the one counts that is written as the template writes it."""
    make(tmp_path, "t1.csv", "t01.csv", "t001.csv", "t-1.csv", "t12.csv", "t1a.csv", "t٣٣.csv")
    assert found(tmp_path, "t{trial:02d}.csv") == [(-1,), (1,), (12,)]
    assert found(tmp_path, "t{trial:d}.csv") == [(-1,), (1,), (12,)]
    assert [row for (row,) in found(tmp_path, "t{trial}.csv")] == ["-1", "001", "01", "1", "12", "1a", "٣٣"]
    make(tmp_path, "f0.50.csv", "f0.5.csv")
    assert found(tmp_path, "f{speed:.2f}.csv") == [(0.5,)]


def test_names_that_can_be_read_in_several_ways(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A8: a file of which nobody can say what it belongs to is left out, and that is said."""
    make(tmp_path, "S_1_2.csv", "S1_2.csv")
    assert found(tmp_path, "{subject}_{trial}.csv") == [("S1", "2")]
    assert "S_1_2.csv ({'subject': 'S', 'trial': '1_2'} or {'subject': 'S_1', 'trial': '2'})" in caplog.text
    assert found(tmp_path, "{subject}_{trial:d}.csv") == [("S1", 2), ("S_1", 2)]


def test_a_file_that_another_one_stands_for_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A8: where a key is a number, a file with leading zeros is not that of the combination, and that is said."""
    make(tmp_path, "1.csv", "01.csv", "02.csv")
    with scidb.open("memory:", {"subject": int}) as db:
        files = PathInput("{subject}.csv", root_folder=tmp_path)
        report = for_each(read, {"path": files}, [Content], subject=[], db=db)
        assert [item.data for item in Content.load_all(db=db)] == ["1.csv"]
        assert len(report.combinations) == 1
        assert "2 files fit the template but not the schema keys" in caplog.text
        assert "First: 01.csv" in caplog.text
        assert "A leading zero would be lost" in caplog.text
        padded = PathInput("{subject:02d}.csv", root_folder=tmp_path)
        assert for_each(read, {"path": padded}, [Content], subject=[], db=db).completed == 2


def test_texts_keep_their_zeros(tmp_path: Path) -> None:
    """Where a key is a text, "01" and "1" are two."""
    make(tmp_path, "1.csv", "01.csv")
    with scidb.open("memory:", {"subject": str}) as db:
        files = PathInput("{subject}.csv", root_folder=tmp_path)
        assert for_each(read, {"path": files}, [Content], subject=[], db=db).completed == 2
        assert {item.schema["subject"]: item.data for item in Content.load_all(db=db)} == {"1": "1.csv", "01": "01.csv"}


def test_several_folders_as_alternatives(tmp_path: Path) -> None:
    """Templates may be alternatives; the same template in two folders would be one variant."""
    make(tmp_path, "raw/1.csv", "raw/2.csv", "clean/1.csv")
    with scidb.open("memory:", {"subject": int}) as db:
        files = EachOf(*(PathInput(f"{kind}/{{subject}}.csv", root_folder=tmp_path) for kind in ("raw", "clean")))
        report = for_each(read, {"path": files}, [Content], subject=[], db=db)
        assert (report.completed, report.skipped) == (3, 1)
        assert report.combinations[3].reason == f"no file {tmp_path / 'clean/2.csv'}"
        same = EachOf(*(PathInput("{subject}.csv", root_folder=tmp_path / kind) for kind in ("raw", "clean")))
        with pytest.raises(exceptions.PipelineError, match="files in several folders need templates that differ"):
            for_each(read, {"path": same}, [Content], subject=1, db=db)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda any_path: any_path(3), "takes a path template"),
        (lambda any_path: any_path(""), "takes a path template"),
        (lambda any_path: any_path("{subject}.csv", root_folder=3), "root_folder=3"),
        (lambda any_path: any_path("{subject:{trial}}.csv"), "placeholder"),
        (lambda any_path: any_path("/data/{subject}.csv"), "absolute path"),
        (lambda any_path: any_path("{subject:02d}.csv").resolve({"subject": None}), "does not fit"),
        (lambda any_path: any_path("{subject:02d}.csv").resolve({"subject": "S1"}), "does not fit"),
        (lambda any_path: any_path("{subjet}.csv").resolve({"subject": 1}), "Did you mean 'subject'"),
        (lambda any_path: Fixed(any_path("{subject}.csv"), subject=1), r"PathInput\('\{subject\}/pre.csv'\)"),
    ],
)
def test_templates_that_cannot_be(call: Any, message: str) -> None:
    """An impossible template is an error of our own, with the way out."""
    with pytest.raises(exceptions.PipelineError, match=message):
        call(PathInput)
