"""Many deciders at once, on one request."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.e2e.conftest import PROBLEM, Answer, Client, System

ROUNDS = 10
DECIDERS = 8
CFO = "cfo@example.com"


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
