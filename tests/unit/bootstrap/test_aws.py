"""Results that are kept for a while, as those that are made of secrets."""

import pytest

from agent_continuations.bootstrap import aws
from agent_continuations.bootstrap.aws import refreshed_every


class Clock:
    """Seconds that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000_020.0
        monkeypatch.setattr(aws, "time", lambda: self.now)


def test_a_result_is_kept_for_its_period_and_made_anew_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, made = Clock(monkeypatch), list[tuple[str, int]]()

    @refreshed_every(60)
    def make(name: str, size: int = 1) -> int:
        made.append((name, size))
        return len(made)

    assert [make("a"), make("a"), make("a", size=2), make("b")] == [1, 1, 2, 3]
    assert made == [("a", 1), ("a", 2), ("b", 1)]
    clock.now += 60
    assert make("a") == 4
    make.cache_clear()
    assert make("a") == 5
