"""Signatures of tools as agents in the world have them: a call is what its text says."""

import pytest

from agent_continuations import tool
from agent_continuations.html.forms.form import fields, parse
from tests.support import public_signatures
from tests.support.form_page import Browser, page
from tests.support.public_signatures import CASES, CHANGED, function_of
from tests.support.signature_checks import check_elsewhere, check_free, check_gated


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_a_free_call_is_what_its_text_says(name: str) -> None:
    function, text = CASES[name]
    assert check_free(function, text)


@pytest.mark.parametrize("name", CASES)
def test_a_call_with_approval_is_what_its_text_says(name: str) -> None:
    function, text = CASES[name]
    check_gated(function, text, keeps_shape=name not in CHANGED)


def test_every_call_runs_in_another_process() -> None:
    cases = [
        (name, text, check_gated(function_of(name), text, keeps_shape=False)[0])
        for name, (_, text) in CASES.items()
    ]
    check_elsewhere(public_signatures.__name__, cases)


@pytest.mark.parametrize("name", CASES)
def test_the_form_of_a_page_that_nobody_touched_is_no_edit(name: str) -> None:
    function, text = CASES[name]
    made = tool(function)
    read = made.arguments.read(text)
    drawn = fields(made.schema, read.shown, prefix="arguments")
    posted = Browser(page(drawn)).posted
    found = parse(made.schema, posted, read.shown, prefix="arguments")
    assert not found.faults
    edited = made.arguments.edit(text, read.shown, found.arguments)
    assert edited.raw == text
