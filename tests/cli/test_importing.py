"""--import: the user's code by file or module, with an error that says what went wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from scidb.cli.importing import import_named
from scidb.exceptions import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with code; what is imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_files_and_modules_are_imported_in_order(folder: Path) -> None:
    """A file goes by its own name and finds its neighbours; a module is found from the working directory."""
    (folder / "code").mkdir()
    (folder / "code" / "steps_a.py").write_text("import helper_a\nY = helper_a.X\n", encoding="utf-8")
    (folder / "code" / "helper_a.py").write_text("X = 1\n", encoding="utf-8")
    (folder / "steps_b.py").write_text("import steps_a\nif __name__ == '__main__':\n    1 / 0\n", encoding="utf-8")

    first, second, again = import_named(["code/steps_a.py", "steps_b", "code/steps_a.py"])

    assert (first.__name__, first.Y) == ("steps_a", 1)
    assert second.steps_a is first
    assert again is first


def test_what_imported_code_prints_is_no_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json stays JSON when the user's module prints."""
    (folder / "loud_c.py").write_text("print('hello')\n", encoding="utf-8")

    import_named(["loud_c.py"])

    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("missing_d.py", None, "does not exist"),
        ("no_such_module_d", None, "there is no module 'no_such_module_d'"),
        ("notes.txt", "x", "no Python file"),
        (".", None, "is a directory"),
        ("broken_d.py", "def f(:\n", "SyntaxError"),
        ("failing_d.py", "x = 1\nraise ValueError('no data here')\n", "ValueError: no data here"),
        ("leaving_d.py", "import sys\nsys.exit(3)\n", "sys.exit(3)"),
        ("needing_d.py", "import no_such_package_d\n", "No module named 'no_such_package_d'"),
        ("json.py", "", "module 'json'"),
        ("", None, "failed"),
    ],
)
def test_what_cannot_be_imported_is_an_error_that_shows_why(
    folder: Path, name: str, text: str | None, said: str
) -> None:
    """Missing files, code that fails or leaves, and names that are taken are one clear error, and leave nothing."""
    if text is not None:
        (folder / name).write_text(text, encoding="utf-8")
    path = "./." if name == "." else name

    with pytest.raises(PipelineError) as caught:
        import_named([path])

    assert said in str(caught.value)
    assert name.removesuffix(".py") == "json" or name.removesuffix(".py") not in sys.modules
