"""Whatever a signature is made of, a call is what its text says."""

import json
import os

from hypothesis import HealthCheck, Phase, given, settings

from tests.support import made_signatures
from tests.support.made_signatures import Spec, function_of, keeps_shape, signatures_with_text
from tests.support.signature_checks import check_elsewhere, check_free, check_gated

EXAMPLES = int(os.environ.get("SIGNATURE_EXAMPLES", "150"))
# Shrinking makes types anew for each step, which is slow: ask for it.
PHASES = [Phase.explicit, Phase.generate, *[Phase.shrink] * ("SHRINK" in os.environ)]
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def test_a_call_of_any_signature_is_what_its_text_says() -> None:
    elsewhere: list[tuple[list[Spec], str, str]] = []

    @settings(max_examples=EXAMPLES, phases=PHASES, suppress_health_check=SLOW)
    @given(signatures_with_text())
    def check(case: tuple[list[Spec], str]) -> None:
        signature, raw = case
        if not check_free(function_of(signature), raw):
            return
        same = all(keeps_shape(spec) for spec in signature)
        document, shown = check_gated(function_of(signature), raw, keeps_shape=same)
        json.dumps(shown)
        if len(elsewhere) < EXAMPLES:
            elsewhere.append((signature, raw, document))

    check()
    assert len(elsewhere) > EXAMPLES / 3
    check_elsewhere(made_signatures.__name__, elsewhere)
