"""Each fixed mutant is killed by the tests that are named for it, which pass without it."""

from collections.abc import Sequence

import pytest

from tests.mutants.core_mutants import CORE
from tests.mutants.dynamodb_mutants import DYNAMODB
from tests.mutants.engine_mutants import ENGINE
from tests.mutants.host_mutants import HOSTS
from tests.mutants.inbound_mutants import REPORTS
from tests.mutants.lease_mutants import LEASES_AND_DOUBT
from tests.mutants.memory_mutants import IN_MEMORY
from tests.mutants.move_mutants import MOVES
from tests.mutants.mutant import Mutant, Outdated
from tests.mutants.outage_mutants import OUTAGES
from tests.mutants.trial import PrivateCopy
from tests.mutants.waiting_mutants import WAITING

MUTANTS = (
    *DYNAMODB,
    *IN_MEMORY,
    *LEASES_AND_DOUBT,
    *ENGINE,
    *CORE,
    *OUTAGES,
    *WAITING,
    *MOVES,
    *HOSTS,
    *REPORTS,
)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> PrivateCopy:
    return PrivateCopy(tmp_path_factory.mktemp("library"))


def test_at_least_forty_mutants_have_a_name_of_their_own() -> None:
    assert len({each.name for each in MUTANTS}) == len(MUTANTS) >= 40


def test_the_named_tests_pass_without_a_mutant(library: PrivateCopy) -> None:
    named = tuple(dict.fromkeys(test for mutant in MUTANTS for test in mutant.tests))
    outcomes = library.try_tests(named, seconds=300)
    assert (outcomes.noticed, outcomes.crashed, outcomes.broken) == ([], {}, [])
    assert [each for each in named if not _one_of(each, outcomes.passed)] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_named_for_a_mutant_kill_it(mutant: Mutant, library: PrivateCopy) -> None:
    text = mutant.text(library.source(mutant.module))
    outcomes = library.try_tests(mutant.tests, mutant.module, text, raises=mutant.raises)
    assert not outcomes.broken, "the tests did not run"
    survived = [each for each in mutant.tests if not _one_of(each, outcomes.noticed)]
    assert not survived, f"not noticed by {survived}; other errors: {outcomes.crashed}"


def _one_of(test: str, node_ids: Sequence[str]) -> bool:
    """Whether the test, or one of its parameters, is among these."""
    return any(each == test or each.startswith((f"{test}[", f"{test}::")) for each in node_ids)


def test_a_mutant_of_code_that_has_changed_says_so() -> None:
    outdated = Mutant("gone", "errors.py", "no such text", "", ())
    with pytest.raises(Outdated, match=r"gone: errors\.py has this 0 times"):
        outdated.text("another text")
