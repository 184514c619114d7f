"""Each mutant is wired: a small directed test shows that it changes what it should.

And nothing else is: after it is undone, everything is as it was.
"""

import pytest

from tests.mutants import (
    probes_of_journals,
    probes_of_projections,
    probes_of_spreading,
)
from tests.mutants.catalogue import CATALOGUE
from tests.mutants.planting import applied
from tests.mutants.probing import probes
from tests.mutants.scoreboard import Mutant, MutantsError, pairs_of

PROBING = (probes_of_journals, probes_of_projections, probes_of_spreading)  # they register
MUTANTS = list(CATALOGUE.mutants.values())
RULES = {f"C{number}" for number in range(1, 21)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.id for mutant in MUTANTS])
def test_a_mutant_changes_what_it_should_and_is_undone(mutant: Mutant) -> None:
    probe = probes.of[mutant.id]
    assert probe(), "the sound core does not keep what the probe asks for"
    with mutant.apply():
        assert applied() == mutant.id
        assert not probe(), f"{mutant.id} is not wired: {mutant.where}"
    assert probe(), "something is left of the mutant"
    assert not applied()


def test_every_mutant_has_a_probe_and_every_probe_a_mutant() -> None:
    assert set(probes.of) == set(CATALOGUE.mutants)


def test_every_mutant_says_what_it_is_and_where_it_is_looked_for() -> None:
    assert len(MUTANTS) >= 30
    for mutant in MUTANTS:
        assert mutant.wrong.endswith("."), mutant.id
        assert mutant.expected, mutant.id
        assert set(mutant.expected) <= RULES, mutant.id
        assert mutant.benches, mutant.id
        assert set(mutant.benches) <= set(CATALOGUE.benches), mutant.id


def test_an_unknown_mutant_is_one_clear_line() -> None:
    with pytest.raises(MutantsError, match="no mutant 'nobody'"):
        pairs_of(CATALOGUE, ["nobody"])
