"""The promises of the house: a small public surface, light imports, documents that run, a clean tree."""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

import scidb

ROOT: Final = Path(__file__).resolve().parents[1]
SRC: Final = ROOT / "src"

HEAVY: Final = {
    "dask",
    "distributed",
    "fastapi",
    "httpx",
    "loky",
    "matplotlib",
    "polars",
    "ray",
    "rich.progress",
    "scipy",
    "uvicorn",
    "xarray",
}


def python(*args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter of this environment that finds scidb wherever this one found it."""
    found = os.pathsep.join([str(Path(scidb.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": found, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *args]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, encoding="utf-8", check=False)


def git(*args: str) -> list[str]:
    """Return the lines that git answers; skip the test where this is not a clone."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    # The clone may belong to somebody else, as in a container.
    command = ["git", "-c", f"safe.directory={ROOT}", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


# ---------------------------------------------------------------- the public surface


def test_the_public_api_is_the_checked_in_list() -> None:
    """Widening `scidb.__all__` is a visible line in a diff."""
    listed = (ROOT / "tests/public-api.txt").read_text(encoding="utf-8").split()

    assert sorted(scidb.__all__) == sorted(listed)


@pytest.mark.parametrize("name", scidb.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each name of `__all__` can be reached, and says what it is for."""
    assert name.startswith("__") or getattr(scidb, name).__doc__


def test_the_changelog_opens_with_what_is_being_built_or_this_version() -> None:
    """The first section of CHANGELOG.md is Unreleased, or the version of the code."""
    sections = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sections[0] in {"Unreleased", scidb.__version__}


# ---------------------------------------------------------------- imports


def test_importing_scidb_is_light() -> None:
    """S11: a fresh `import scidb` brings in no server, plotting or cluster library."""
    run = python("-c", "import sys, scidb; print(*sys.modules)")

    assert run.returncode == 0, run.stderr
    assert set() == HEAVY & set(run.stdout.split())


OURS = """
import sys, scidb
ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in {"scidb", "scidbnet"}}
classes = {item for module in ours.values() for item in vars(module).values() if isinstance(item, type)}
print(sum("__dataclass_fields__" in vars(one) and one.__module__ in ours for one in classes), *ours)
"""


def test_importing_scidb_brings_in_what_every_script_needs() -> None:
    """S11: what few scripts ask for is imported when it is asked for; each dataclass costs half a millisecond."""
    run = python("-c", OURS)

    assert run.returncode == 0, run.stderr
    dataclasses, *modules = run.stdout.split()
    late = ("scidbnet", "scidb.cli", "scidb.database.admin", "scidb.maintenance", "scidb.pipeline", "scidb.provenance",
            "scidb.store.duck", "scidb.store.memory", "scidb.hashing.code.changes")  # fmt: skip
    assert [module for module in modules if f"{module}.".startswith(tuple(f"{name}." for name in late))] == []
    assert len(modules) <= 180
    assert int(dataclasses) <= 165


def test_scidb_needs_no_optional_package() -> None:
    """The package and its command line import where nothing of any extra can be imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [need for extra in project["optional-dependencies"].values() for need in extra]
    names = {re.split(r"[^\w-]", need)[0].replace("-", "_") for need in wanted} - {"scidb"}
    blocked = sorted(names | HEAVY - {"rich.progress"})
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); import scidb, scidb.cli"

    run = python("-c", code)

    assert {"fastapi", "pytest", "prometheus_client"} <= set(blocked)
    assert run.returncode == 0, run.stderr


def test_the_picture_holds() -> None:
    """Every import contract of docs/design/architecture.md is kept."""
    tool = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("import-linter is not in this environment: pip install -e '.[dev]'")
    env = {**os.environ, "PYTHONPATH": str(SRC)}

    run = subprocess.run([tool, "--no-cache"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


FORBIDDEN_NAMES: Final = {"eval", "exec", "print"}
FORBIDDEN_MODULES: Final = {"cPickle", "dill", "marshal", "pickle", "shelve"}


def forbidden(node: ast.AST) -> bool:
    """Tell whether a piece of code runs text, prints, or reads or writes pickles."""
    match node:
        case ast.Name(id=name):
            return name in FORBIDDEN_NAMES
        case ast.Import(names=names):
            return any(alias.name.split(".")[0] in FORBIDDEN_MODULES for alias in names)
        case ast.ImportFrom(module=str(module)):
            return module.split(".")[0] in FORBIDDEN_MODULES
        case ast.Attribute(attr=attr):
            return attr in {"read_pickle", "to_pickle"}
        case ast.keyword(arg="allow_pickle", value=value):
            return not (isinstance(value, ast.Constant) and value.value is False)
        case _:
            return False


def test_the_forbidden_is_recognised() -> None:
    """The rule of the next test sees calls, aliases and imports, and lets words in texts pass."""
    bad = ["eval('1')", "f(key=print)", "import pickle as p", "from pickle import loads", "pd.read_pickle(x)"]
    bad += ["np.load(f, allow_pickle=True)", "exec(code)", "import os, marshal"]
    good = [
        "'''no pickle, no eval(x)'''",
        "con.execute(sql)",
        "np.load(f, allow_pickle=False)",
        "import cloudpickle",
    ]

    assert [any(map(forbidden, ast.walk(ast.parse(code)))) for code in bad] == [True] * len(bad)
    assert [any(map(forbidden, ast.walk(ast.parse(code)))) for code in good] == [False] * len(good)


# Runs recorded source text in a process of its own, once: docs/how-to/reproduce-a-number.md says when.
RUNS_STORED_CODE: Final = SRC / "scidb/provenance/reproduction/rebuild.py"


def test_no_pickle_no_eval_no_print() -> None:
    """Product code never pickles and never runs text, but in one place; only the command line prints."""
    files = [path for path in SRC.rglob("*.py") if SRC / "scidb/cli" not in path.parents]
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', '?')}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if forbidden(node) and path != RUNS_STORED_CODE
    ]
    excepted = [node for node in ast.walk(ast.parse(RUNS_STORED_CODE.read_text(encoding="utf-8"))) if forbidden(node)]

    assert files
    assert found == []
    assert [ast.unparse(node) for node in excepted] == ["exec"]


# ---------------------------------------------------------------- what is tracked


def test_no_tracked_file_is_an_ignored_one() -> None:
    """Bytecode, databases, wheels and demo output never enter the repository."""
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard") == []


def test_nothing_names_a_package_index() -> None:
    """Where packages come from is the affair of the machine: no index in the project, no lock file."""
    tracked = git("ls-files")
    index = re.compile(r"index[-_]url|find-links|tool\.uv\.index|tool\.poetry\.source|https?://\S+/simple\b")
    places = [name for name in tracked if name.endswith((".toml", ".cfg", ".ini", ".txt", ".yml", ".yaml"))]
    places += ["noxfile.py", ".ci/run", "pyproject.toml"]
    locks = [name for name in tracked if re.search(r"(\.lock|[-_.]lock\.\w+|^pylock.*\.toml)$", Path(name).name)]

    assert locks == []
    assert [name for name in places if index.search((ROOT / name).read_text(encoding="utf-8"))] == []


# ---------------------------------------------------------------- documents under test


@dataclass(frozen=True)
class Block:
    """A fenced block of a document: what its fence says, where its code begins, and the code."""

    info: str
    line: int
    code: str


FENCE: Final = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PAGES: Final = [
    *ROOT.glob("README.md"),
    *ROOT.glob("CONTRIBUTING.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(fence[2].strip(), text.count("\n", 0, fence.start(3)), dedent(fence[3])) for fence in FENCE.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_code_block_says_whether_it_runs(page: Path) -> None:
    """A fence is closed and names its language; a Python block is `python` or `python no-run`."""
    found = blocks(page)
    fences = re.findall(r"^ *(?:```|~~~)", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(fences) == 2 * len(found)
    assert [block for block in found if not block.info] == []
    assert {b.info for b in found if b.info.lower().startswith(("py", "ipy"))} <= {"python", "python no-run"}


RUNNER: Final = """
import os, runpy, warnings
os.dup2(os.open("output", os.O_CREAT | os.O_WRONLY), 1)
os.dup2(1, 2)
warnings.simplefilter("error")
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.fixture(scope="session")
def ready() -> multiprocessing.context.ForkServerContext:
    """Return what starts processes in which scidb is imported already, which is what takes time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scidb"])
    return context


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.info == "python" for b in blocks(p))], ids=page_id)
def test_python_blocks_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ready: multiprocessing.context.ForkServerContext
) -> None:
    """The Python blocks of a page run in order, as one script in an empty folder, without a warning."""
    lines = [""] * page.read_text(encoding="utf-8").count("\n")
    for block in blocks(page):
        if block.info == "python":
            code = block.code.splitlines()
            lines[block.line : block.line + len(code)] = code  # a traceback shows the line of the page
    script = tmp_path / f"{page.stem}.py"
    script.write_text("\n".join(lines), encoding="utf-8")
    runner = tmp_path / "runner"
    runner.write_text(RUNNER.format(script=script.name), encoding="utf-8")

    if any("n_jobs" in line for line in lines):  # its processes end with a program, and not with a child of ours
        run = python("-W", "error", script.name, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        return
    monkeypatch.chdir(tmp_path)
    process = ready.Process(target=runpy.run_path, args=(str(runner),))
    process.start()
    process.join()

    assert process.exitcode == 0, (tmp_path / "output").read_text(encoding="utf-8")


def test_the_readme_shows_an_example_that_runs() -> None:
    """README.md has a Python block, and it is not excused from running."""
    assert "python" in {block.info for block in blocks(ROOT / "README.md")}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page names a file that exists."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_ci_runs_the_commands_of_the_readme() -> None:
    """Both commands that README.md promises are the ones that .ci/run runs."""
    readme, ci = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", ".ci/run")]

    for command in ("pip install . && scidb demo", "pip install -e '.[dev]' && pytest"):
        assert command in readme
        assert command in ci
