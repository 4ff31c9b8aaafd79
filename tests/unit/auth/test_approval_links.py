"""Links and nonces: own ones are read back, all others are refused."""

import string
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_continuations.auth.approval_links import ApprovalLinks
from agent_continuations.auth.signing import encode, signer
from agent_continuations.core.ids import opaque_id
from agent_continuations.errors import NotFound

KEY, OTHER = "k" * 32, "o" * 32
RUN, REQUEST = opaque_id(b"r" * 15), opaque_id(b"q" * 10)
ADA = "ada@example.com"
UNTIL = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HASH = "0123456789abcdef" * 4
# What earlier code has signed; it does not say what was asked.
EARLIER = (
    "cnJycnJycnJycnJycnJycXFxcXFxcXFxcbX8heVXVfngawwTwA.V3MRVDguNQjVDWYM2xZoZuuGO9HqmwAkxu4MAurHqxQ"
)
TOKEN = ApprovalLinks([KEY]).token(RUN, REQUEST, ADA, UNTIL, HASH)

run_ids = st.binary(min_size=15, max_size=15).map(opaque_id)
request_ids = st.binary(min_size=10, max_size=10).map(opaque_id)
approvers = st.text(st.characters(exclude_categories=["Cs"]))
hashes = st.binary(min_size=8, max_size=8).map(lambda start: start.hex() + "0" * 48) | st.binary(
    min_size=32, max_size=32
).map(bytes.hex)
times = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(2106, 2, 1), timezones=st.just(UTC)
)


def refused(token: str, *keys: str) -> bool:
    try:
        ApprovalLinks(keys or [KEY]).read(token)
    except NotFound:
        return True
    return False


@settings(deadline=None)
@given(run_ids, request_ids, approvers, times)
def test_a_token_is_read_back(run: str, request: str, approver: str, until: datetime) -> None:
    both = ApprovalLinks([KEY])
    read = both.read(both.token(run, request, approver, until, HASH))
    assert (read.run_id, read.request_id) == (run, request)
    assert read.expires_at == until.replace(microsecond=0)
    assert read.holder(["nobody@example.com", approver]) == approver


@settings(deadline=None)
@given(run_ids, request_ids, approvers, times)
def test_a_token_is_short_and_safe_in_a_url(
    run: str, request: str, approver: str, until: datetime
) -> None:
    token = ApprovalLinks([KEY]).token(run, request, approver, until, HASH)
    assert len(token) == 104
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")


def test_a_token_is_deterministic() -> None:
    assert ApprovalLinks([KEY]).token(RUN, REQUEST, ADA, UNTIL, HASH) == TOKEN


@settings(deadline=None)
@given(st.tuples(run_ids, request_ids, approvers), st.tuples(run_ids, request_ids, approvers))
def test_no_two_requests_or_approvers_share_a_token(
    one: tuple[str, str, str], two: tuple[str, str, str]
) -> None:
    make = ApprovalLinks([KEY]).token
    assert (make(*one, UNTIL, HASH) == make(*two, UNTIL, HASH)) == (one == two)


@settings(deadline=None)
@given(hashes, hashes)
def test_a_token_says_what_was_asked_when_it_was_made(made: str, now: str) -> None:
    read = ApprovalLinks([KEY]).read(ApprovalLinks([KEY]).token(RUN, REQUEST, ADA, UNTIL, made))
    assert read.asks_about(made)
    assert read.asks_about(now) == (made[:16] == now[:16])


def test_what_was_asked_is_signed() -> None:
    read = ApprovalLinks([KEY]).read(TOKEN)
    other = ApprovalLinks([KEY]).token(RUN, REQUEST, ADA, UNTIL, "f" * 64)
    assert read.asks_about(HASH)
    assert not read.asks_about("f" * 64)
    assert refused(f"{other.partition('.')[0]}.{TOKEN.partition('.')[2]}")


def test_a_token_of_the_earlier_form_is_read_and_does_not_say_what_was_asked() -> None:
    read = ApprovalLinks([KEY]).read(EARLIER)
    assert (read.run_id, read.request_id, read.expires_at) == (RUN, REQUEST, UNTIL)
    assert read.holder(["eve@example.com", ADA]) == ADA
    assert read.asks_about(HASH) and read.asks_about("f" * 64)
    assert refused(EARLIER, OTHER)
    assert refused(EARLIER[:50] + TOKEN[60:])  # the end of a new one


@pytest.mark.parametrize("size", [*range(37), *range(38, 45), 46, 53, 64])
def test_a_signed_payload_of_another_size_is_refused(size: int) -> None:
    token = signer([KEY], "approval-link").sign(encode(b"x" * size)).decode()
    assert refused(token)


def test_a_token_that_has_expired_can_still_be_read() -> None:
    both = ApprovalLinks([KEY])
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    assert both.read(both.token(RUN, REQUEST, ADA, long_ago, HASH)).expires_at == long_ago


def test_a_token_belongs_to_its_approver_alone() -> None:
    read = ApprovalLinks([KEY]).read(TOKEN)
    assert read.holder(["eve@example.com", ADA]) == ADA
    assert read.holder(["eve@example.com"]) is None
    assert read.holder(["Ada@example.com"]) is None
    assert read.holder([]) is None


@pytest.mark.parametrize("place", range(len(TOKEN) - 1))
def test_a_token_with_any_letter_changed_is_refused(place: int) -> None:
    for letter in set(string.ascii_letters + string.digits + "-_.=!%é") - {TOKEN[place]}:
        assert refused(TOKEN[:place] + letter + TOKEN[place + 1 :]), letter


def test_a_token_with_another_last_letter_is_refused() -> None:
    for letter in set(string.ascii_letters + string.digits + "-_.=!%é") - {TOKEN[-1]}:
        assert refused(TOKEN[:-1] + letter), letter


def test_a_token_in_the_other_base64_alphabet_is_refused() -> None:
    for seed in range(20):
        until = UNTIL + timedelta(seconds=seed)
        payload, _, signature = (
            ApprovalLinks([KEY]).token(RUN, REQUEST, ADA, until, HASH).rpartition(".")
        )
        twin = signature.replace("-", "+").replace("_", "/")
        assert twin == signature or refused(f"{payload}.{twin}")


@pytest.mark.parametrize("spelling", [f"{TOKEN}=", f"{TOKEN}====", f"{TOKEN[:80]}!!!!{TOKEN[80:]}"])
def test_a_token_with_an_insertion_is_refused(spelling: str) -> None:
    assert refused(spelling)


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_a_truncated_token_is_refused(place: int) -> None:
    assert refused(TOKEN[:place])
    assert refused(TOKEN[place + 1 :])
    assert refused(TOKEN[:place] + TOKEN[place + 1 :])


@pytest.mark.parametrize("place", range(len(TOKEN) - 1))
def test_a_token_with_two_letters_swapped_is_refused(place: int) -> None:
    changed = TOKEN[:place] + TOKEN[place + 1] + TOKEN[place] + TOKEN[place + 2 :]
    assert changed == TOKEN or refused(changed)


def test_a_token_of_two_halves_is_refused() -> None:
    make = ApprovalLinks([KEY]).token
    whole = TOKEN.partition(".")
    mine = make(RUN, REQUEST, "eve@example.com", UNTIL, HASH).partition(".")
    later = make(RUN, REQUEST, ADA, UNTIL + timedelta(days=9), HASH).partition(".")
    for other in (mine, later):
        assert refused(f"{whole[0]}.{other[2]}")
        assert refused(f"{other[0]}.{whole[2]}")


def test_another_key_makes_other_tokens() -> None:
    assert refused(TOKEN, OTHER)
    assert refused(ApprovalLinks([OTHER]).token(RUN, REQUEST, ADA, UNTIL, HASH))


def test_keys_can_be_changed_without_breaking_links() -> None:
    both = ApprovalLinks([OTHER, KEY])
    assert both.read(TOKEN).run_id == RUN
    new = both.token(RUN, REQUEST, ADA, UNTIL, HASH)
    assert new == ApprovalLinks([OTHER]).token(RUN, REQUEST, ADA, UNTIL, HASH)
    assert refused(TOKEN, OTHER)
    assert not refused(new, OTHER)


def test_a_page_from_before_a_key_rotation_still_works() -> None:
    nonce = ApprovalLinks([KEY]).nonce(TOKEN)
    assert ApprovalLinks([OTHER, KEY]).accepts(TOKEN, nonce)
    assert not ApprovalLinks([OTHER]).accepts(TOKEN, nonce)


@pytest.mark.parametrize("keys", [[], [""], ["k" * 31], [KEY, "short"], ["short", KEY]])
def test_missing_or_short_keys_are_refused(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="32 characters"):
        ApprovalLinks(keys)


def test_a_nonce_belongs_to_one_token() -> None:
    both = ApprovalLinks([KEY])
    nonce = both.nonce(TOKEN)
    assert both.accepts(TOKEN, nonce)
    assert not both.accepts(both.token(RUN, REQUEST, "eve@example.com", UNTIL, HASH), nonce)
    assert not both.accepts(TOKEN, "")
    assert not both.accepts(TOKEN, nonce[:-1])
    assert not both.accepts(TOKEN, both.nonce(nonce))


def test_a_nonce_is_no_token_and_a_token_no_nonce() -> None:
    both = ApprovalLinks([KEY])
    payload, _, signature = TOKEN.rpartition(".")
    assert refused(both.nonce(TOKEN))
    assert refused(f"{payload}.{both.nonce(payload)}")
    assert not both.accepts(TOKEN, TOKEN)
    assert not both.accepts(TOKEN, signature)
    assert not both.accepts(payload, signature)


@settings(deadline=None)
@given(st.text() | st.text(st.sampled_from(string.ascii_letters + "-_.="), min_size=85))
@example("\ud800")
@example("\x00")
@example(".")
@example("." * 104)
@example("é." + TOKEN.partition(".")[2])
def test_any_other_text_is_refused_as_a_token(text: str) -> None:
    assert refused(text)


@settings(deadline=None)
@given(st.text(), st.text())
@example(TOKEN, "\ud800")
@example(TOKEN, "é")
def test_any_other_text_is_refused_as_a_nonce(token: str, nonce: str) -> None:
    assert not ApprovalLinks([KEY]).accepts(token, nonce)


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_a_token_with_a_few_letters_changed_is_refused(random: Random, changes: int) -> None:
    payload, _, signature = TOKEN.rpartition(".")
    letters = list(payload)
    for _ in range(changes):
        place = random.randrange(len(letters))
        letters[place] = random.choice(string.ascii_letters + string.digits + "-_")
    changed = "".join(letters)
    assert changed == payload or refused(f"{changed}.{signature}")


def test_deadlines_in_the_next_century_are_supported() -> None:
    late = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)
    both = ApprovalLinks([KEY])
    assert both.read(both.token(RUN, REQUEST, ADA, late, HASH)).expires_at == late


@pytest.mark.parametrize("nonce", ["\ud800", "QUJD"])
def test_a_lone_surrogate_is_refused_as_a_nonce(nonce: str) -> None:
    assert not ApprovalLinks([KEY]).accepts("\ud800", nonce)
