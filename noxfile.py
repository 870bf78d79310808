"""The recipes of this project; all but `smoke` run in the environment that holds nox (the dev extra)."""

from __future__ import annotations

import sys
from pathlib import Path

import nox

BIN = Path(sys.executable).parent

nox.needs_version = ">=2025.2"
nox.options.sessions = ["check", "test"]


def tool(session: nox.Session, name: str, *args: str, env: dict[str, str] | None = None) -> None:
    """Run a tool of this environment, whether or not it is activated."""
    session.run(str(BIN / name), *args, env=env, external=True)


@nox.session(venv_backend="none")
def check(session: nox.Session) -> None:
    """Check format, lint, types and import contracts."""
    tool(session, "ruff", "format", "--check")
    tool(session, "ruff", "check")
    tool(session, "mypy")
    tool(session, "lint-imports")


@nox.session(venv_backend="none")
def fix(session: nox.Session) -> None:
    """Format, and mend what lint can mend by itself."""
    tool(session, "ruff", "check", "--fix")
    tool(session, "ruff", "format")


@nox.session(venv_backend="none")
def test(session: nox.Session) -> None:
    """Run the tests; arguments after ``--`` go to pytest."""
    tool(session, "pytest", *session.posargs)


@nox.session(venv_backend="none")
def slow(session: nox.Session) -> None:
    """Run every test, the slow ones included, with thousands of examples for each property."""
    every = ["-m", "slow or not slow", "--timeout", "3600"]
    tool(session, "pytest", *every, *session.posargs, env={"HYPOTHESIS_PROFILE": "slow"})


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Measure the promises of docs/design/performance.md; arguments after ``--`` choose the group."""
    tool(session, "python", "-m", "benchmarks", *session.posargs)


@nox.session(venv_backend="venv", reuse_venv=False)
def smoke(session: nox.Session) -> None:
    """Install the wheel alone, without extras or development tools, and use it."""
    work = Path(session.create_tmp())
    session.run("python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(work), ".")
    newest = max(work.glob("scidb-*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    session.install(str(newest))
    session.chdir(work)
    session.run("python", "-c", "import scidb")
    session.run("scidb", "--help", silent=True)
    session.run("scidb", "demo", "demo")
