"""Why two fingerprints differ, as data and in words; the table of cases is in test_what_counts.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scidb.exceptions import SciDBError
from scidb.hashing.changes import CodeChange, differences, source_diffs
from scidb.hashing.fingerprint import Fingerprint, fingerprint
from scidb.hashing.manifest import Manifest
from scidb.store.model import Source

if TYPE_CHECKING:
    from tests.hashing.conftest import Study

SMOOTH = """
import numpy as np


def weights(n):
    return np.ones(n)


def smooth(signal):
    w = weights(3)
    for _ in range(2):
        signal = np.convolve(signal, w)
    return signal * {}
"""


def stored(made: Fingerprint) -> Source:
    return Source(made.hash, made.name, made.manifest, dict(made.sources))


def test_a_change_is_data_and_a_sentence(study: Study) -> None:
    """A changed constant is named with function, file and line of the file as it is now."""
    before = fingerprint(study.load(SMOOTH.format(0.2)).smooth)
    after = fingerprint(study.load(SMOOTH.format(0.3)).smooth)

    (found,) = differences(stored(before), stored(after))

    assert found == CodeChange("constant", "", "smooth()", str(study.folder / "m.py"), 13, "0.2", "0.3")
    assert str(found) == "constant 0.2 -> 0.3 in smooth(), line 13"
    assert found.counts
    assert differences(before, before) == ()


def test_both_texts_of_changed_code_are_at_hand(study: Study) -> None:
    """A unified diff shows the function that changed, and none that did not."""
    before = fingerprint(study.load(SMOOTH.format(0.2)).smooth)
    after = fingerprint(study.load(SMOOTH.format(0.3)).smooth)

    (found,) = source_diffs(before, after)

    assert (found.function, found.line) == ("smooth()", 9)
    assert str(found).splitlines()[-2:] == ["-    return signal * 0.2", "+    return signal * 0.3"]
    assert source_diffs(before, before) == ()


def test_without_its_text_code_is_only_said_to_differ(study: Study) -> None:
    """A text that was not kept makes the reason less exact, never wrong."""
    before = fingerprint(study.load(SMOOTH.format(0.2)).smooth)
    after = fingerprint(study.load(SMOOTH.format(0.3)).smooth)

    (found,) = differences(Source(before.hash, before.name, before.manifest, {}), after)

    assert str(found) == "code of smooth() changed, line 9 (source that is not kept -> source)"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ({"libs": {"numpy": "1.26.4"}}, {"libs": {"numpy": "2.1.0"}}, "library numpy 1.26.4 -> 2.1.0"),
        ({"python": "3.11"}, {"python": "3.13"}, "Python 3.11 -> 3.13"),
    ],
)
def test_versions_beside_the_fingerprint_are_said_but_do_not_count(
    study: Study, old: dict[str, object], new: dict[str, object], sentence: str
) -> None:
    """A library's or Python's version is recorded: it is told, and told apart from what counts."""
    made = fingerprint(study.load(SMOOTH.format(0.2)).smooth)
    sides = [
        Source(made.hash, made.name, json.dumps({**json.loads(made.manifest), **changed}), made.sources)
        for changed in (old, new)
    ]

    (found,) = differences(*sides)

    assert str(found) == f"{sentence} (recorded, not part of the fingerprint)"
    assert not found.counts


def test_a_version_that_stands_for_code_is_the_reason(study: Study) -> None:
    """With version=, what changed is the version, whatever the text says."""
    module = study.load(SMOOTH.format(0.2))
    made = [fingerprint(module.smooth, version=version) for version in (None, "1", "2")]

    assert [str(change) for change in differences(made[1], made[2])] == ["version= 1 -> 2"]
    assert str(differences(made[0], made[1])[0]) == "version= nothing -> 1"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version":1,"units":[{}]}', '{"version":1,"units":[{"refs":3}]}'])
def test_a_text_that_is_no_manifest_is_refused(text: str) -> None:
    """A damaged manifest is our own error, which shows what was found."""
    with pytest.raises(SciDBError, match="The description of recorded code cannot be read"):
        Manifest.read(text)


def test_a_manifest_reads_as_it_was_written(study: Study) -> None:
    """What is stored of a function is what comes back; a key of a later version is passed over."""
    text = fingerprint(study.load(SMOOTH.format(0.2)).smooth, version="1").manifest
    later = json.dumps({**json.loads(text), "new": 1})

    assert Manifest.read(text).text() == text
    assert Manifest.read(later) == Manifest.read(text)
