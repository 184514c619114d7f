"""All mutants, and all benches on which they are looked for."""

from tests.mutants import (
    calling,
    identities,
    journals,
    moderations,
    projections,
    spreading,
    worlds,
)
from tests.mutants.benches import BENCHES
from tests.mutants.scoreboard import Catalogue

BEDS = (
    journals.BED,
    identities.BED,
    projections.BED,
    moderations.BED,
    spreading.BED,
    calling.BED,
    worlds.BED,
)
CATALOGUE = Catalogue(
    {name: mutant for bed in BEDS for name, mutant in bed.mutants.items()},
    {bench.name: bench for bench in BENCHES},
)
assert sum(len(bed.mutants) for bed in BEDS) == len(CATALOGUE.mutants), "two mutants of one name"
