"""Many deciders at once, on one request."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from tests.e2e.conftest import PROBLEM, Answer, Client, System

ROUNDS = 10
DECIDERS = 8
CFO, AUDIT = "cfo@example.com", "audit@example.com"


def test_of_eight_deciders_at_once_one_is_right_and_all_others_learn_what_stands(
    client: Client, system: System
) -> None:
    verdicts = ["approve", "reject"] * (DECIDERS // 2)
    won: list[str] = []
    with ThreadPoolExecutor(DECIDERS) as pool:
        for number in range(ROUNDS):
            run_id = client.start("treasury", f"Pay {1000 + number} to reserve")
            (asked,) = client.suspended(run_id)["waiting"]
            link = client.link(asked, CFO)
            barrier = Barrier(DECIDERS)

            def decides(
                decider: int,
                run_id: str = run_id,
                asked: dict[str, str] = asked,
                link: str = link,
                barrier: Barrier = barrier,
            ) -> Answer:
                verdict, reason = verdicts[decider], f"says decider {decider}"
                barrier.wait()
                # Half of each opinion through the API, half through the link.
                if decider % 4 < 2:
                    return client.decide(run_id, asked, verdict, reason=reason)
                return client.post(link, decision=verdict, reason=reason)

            answers = list(pool.map(decides, range(DECIDERS)))
            run = client.ended(run_id)

            (stands,) = client.timeline(run_id, "decision")
            won.append(stands["verdict"])
            reasons = set()
            for verdict, answer in zip(verdicts, answers, strict=True):
                if verdict == stands["verdict"]:
                    assert answer.status == 200, answer.text
                    told = answer.json
                else:
                    assert answer.status == 409, answer.text
                    assert answer.headers["Content-Type"] == PROBLEM
                    told = answer.json["decision"]
                assert told["decision"] == stands["verdict"]
                assert told["request_id"] == asked["request_id"]
                reasons.add(told["reason"])
            assert reasons == {stands["reason"]}, "two deciders were told of two decisions"

            ran = len(system.effects(run_id, "transfer"))
            assert run["status"] == "completed", run
            if stands["verdict"] == "approve":
                assert ran == 1
                assert f"Transferred {1000 + number} euros" in run["result"]
            else:
                assert ran == 0
                assert f"rejected by a person: {stands['reason']}." in run["result"]
    assert len(won) == ROUNDS


def test_two_deciders_at_once_a_hundred_times(client: Client, system: System) -> None:
    """Ten requests wait in each of ten runs; for each of them, two speak at the same moment."""
    run_ids = [client.start("treasury", _order(number)) for number in range(100, 110)]
    approved: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
    with ThreadPoolExecutor(2) as pool:
        for run_id in run_ids:
            for asked in client.suspended(run_id, waiting=10)["waiting"]:
                approved[run_id] += _decided_by_two(client, pool, run_id, asked)
    for run_id in run_ids:
        assert client.ended(run_id)["status"] == "completed"
        ran = [*system.effects(run_id, "transfer"), *system.effects(run_id, "delete_account")]
        assert sorted(map(_call, ran)) == sorted(map(_call, approved[run_id]))


def _order(number: int) -> str:
    transfers = ", ".join(f"{number}{digit} to reserve" for digit in range(1, 10))
    return f"Pay {transfers}, close old-vendor"


def _decided_by_two(
    client: Client, pool: ThreadPoolExecutor, run_id: str, asked: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Two decide at once: one decision stands, and both are told so. The call, if it may run."""
    words = _words(asked)
    barrier = Barrier(2)

    def decides(word: Mapping[str, Any]) -> Answer:
        barrier.wait()
        return client.decide(run_id, asked, **word)

    answers = list(pool.map(decides, words))
    assert 200 in {answer.status for answer in answers}, [answer.text for answer in answers]
    told = [each.json if each.status == 200 else each.json["decision"] for each in answers]
    assert told[0] == told[1], "two deciders were told of two decisions"
    same = words[0] == words[1]
    for word, answer in zip(words, answers, strict=True):
        mine = all(told[0].get(name) == said for name, said in word.items())
        assert answer.status == (200 if mine or same else 409), answer.text
    stands = told[0]
    if stands["decision"] == "reject":
        return []
    return [{**asked, "arguments": stands.get("arguments") or asked["arguments"]}]


def _words(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the two say: the same, the contrary, other arguments, or the same by another person."""
    approve = {"decision": "approve", "approver": CFO}
    if asked["tool"] == "delete_account":
        return [approve, {"decision": "approve", "approver": AUDIT}]
    amount = asked["arguments"]["amount"]
    if amount % 3 == 0:
        return [approve, approve]
    if amount % 3 == 1:
        return [approve, {"decision": "reject", "approver": CFO}]
    edited = [{"amount": amount + more, "to": "reserve"} for more in (5, 6)]
    return [{**approve, "arguments": each} for each in edited]


def _call(call: Mapping[str, Any]) -> tuple[str, str, str]:
    return call["path"], call["tool"], str(sorted(call["arguments"].items()))


def test_the_same_start_sent_four_times_at_once_starts_one_run(
    client: Client, system: System
) -> None:
    barrier = Barrier(4)

    def starts(_: int) -> Answer:
        barrier.wait()
        return client.send(
            "POST",
            "/runs",
            {"agent": "treasury", "input": "Pay 60 to ops"},
            {"Idempotency-Key": "four at once"},
        )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(starts, range(4)))
    assert {answer.status for answer in answers} == {202}
    (run_id,) = {answer.json["run_id"] for answer in answers}
    assert client.ended(run_id)["status"] == "completed"
    system.quiet()
    assert len(system.effects(run_id, "transfer")) == 1
