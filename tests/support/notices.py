"""Example notices, and strategies for the texts and arguments in them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from agent_continuations.core.notice import Notice

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRET = "DE89370400440532013000"
ADA = "ada@example.com"
HOSTILE = [
    "\r\nBcc: eve@example.com\r\n\r\nhello",
    "\n.\nQUIT\n",
    "--===============0==\nContent-Type: text/html\n\n<b>part</b>",
    "</pre><a href='https://evil.example'>View and decide</a><pre>",
    "<script>alert(1)</script><img src=x onerror=alert(1)><!--",
    "&lt;b&gt; &amp; &#60;",
    "{{ link }}{% for x in notice %}{% endfor %}",
    "\u202egnihton etaler\u202c \u2066x\u2069 \u200b\u200f\ufeff",
    "\x00\x07\x08\x1b[2J\x7f\x85\x9b",
    "=?utf-8?b?QmNjOiBldmU=?=",
    "\ue000 \U000e0041 \u2028 \u2029",
    "long " * 400,
]
hostile_texts = st.text(max_size=200) | st.sampled_from(HOSTILE)
texts_with_surrogates = hostile_texts | st.text(st.characters(), max_size=50).map(
    lambda text: text + "\ud800"
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts_with_surrogates,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts_with_surrogates, inner, max_size=3)
    ),
    max_leaves=8,
)


def example_notice(**more: Any) -> Notice:
    """A notice of an approval, with these values in place of its own."""
    values: dict[str, Any] = {
        "notice_id": "abcdefgh23456723",
        "run_id": "r",
        "tenant": "default",
        "kind": "approval",
        "request_id": "abcdefgh23456723",
        "path": "0.0",
        "agents": ("chief", "clerk"),
        "goal": "Pay the invoice.",
        "tool": "pay",
        "arguments": {"amount": 1},
        "arguments_hash": "0123456789abcdef" * 4,
        "expires_at": NOW + timedelta(days=7),
        "created_at": NOW,
        "approvers": (ADA,),
        "answerers": (ADA,),
        "due": NOW,
    }
    return Notice(**{**values, **more})


def notice_with_secret(**more: Any) -> Notice:
    """A notice with a secret in its goal and its arguments."""
    return example_notice(**{"arguments": {"iban": SECRET}, "goal": f"Pay {SECRET}.", **more})
