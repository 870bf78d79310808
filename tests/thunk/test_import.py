"""The name `scidb.thunk` is both a decorator and a package to import from."""

from __future__ import annotations

import subprocess
import sys

AS_ATTRIBUTE = """
import scidb
@scidb.thunk
def first(x): return x + 1
assert first(1).data == 2
"""
AS_PACKAGE = """
from scidb.thunk import thunk, Thunk, ThunkOutput
from scidb.thunk.call import PipelineThunk
@thunk(n_outputs=2)
def second(x): return x, x
assert isinstance(second, Thunk) and isinstance(second(1)[0], ThunkOutput)
"""


ORDERS = {
    "attribute first": AS_ATTRIBUTE + AS_PACKAGE + AS_ATTRIBUTE,
    "package first": AS_PACKAGE + AS_ATTRIBUTE + AS_PACKAGE,
    "from attribute first": "from scidb import thunk\nfrom scidb.thunk import thunk as same\nassert thunk is same",
    "from package first": "from scidb.thunk import thunk as same\nfrom scidb import thunk\nassert thunk is same",
}
# Each starts without scidb; the libraries below it are imported once for all.
EACH_ANEW = """
import sys, traceback
for name, script in {orders!r}.items():
    for module in [module for module in sys.modules if module.partition(".")[0] == "scidb"]:
        del sys.modules[module]
    try:
        exec(script, {{"__name__": "__main__"}})
    except Exception:
        sys.exit(name + ": " + traceback.format_exc())
"""


def test_both_ways_in_both_orders() -> None:
    """`scidb.thunk` as an attribute is the decorator, whatever was imported first."""
    command = [sys.executable, "-W", "error", "-c", EACH_ANEW.format(orders=ORDERS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
