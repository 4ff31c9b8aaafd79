"""Scripted replies of the example agents, for `make run` without a model key and for tests.

`SCRIPT` has the words of `ScriptedModel`: for each agent the replies in order, or a function from
the request to a reply. The functions here make their replies from the conversation so far, because
the examples take any input; for most agents a list is enough:

    SCRIPT = {"clerk": [call("transfer", amount=250, to="bob"), say("Done.")]}
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from agent_continuations import ModelRequest, Reply, call, calls, say


def hr(request: ModelRequest) -> Reply:
    """Welcomes a colleague, and has the account set up at the same time."""
    task, turns = conversation(request)
    if turns:
        welcome, account = turns[0]
        return say(f"Done. {welcome} {account}")
    mail = found(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", task, "new.colleague@example.com")
    name = found(r"[Oo]nboard ([A-Z]\w+(?: [A-Z]\w+)*)", task, "New Colleague")
    level = found(r"\b(basic|confidential|secret)\b", task, "confidential")
    order = f"Create the account {mail.partition('@')[0]} and authorize it for {level}."
    return calls(
        ("send_welcome_mail", {"to": mail, "name": name}),
        ("account_agent", {"input": order}),
        content="I welcome the colleague and have the account set up.",
    )


def account_agent(request: ModelRequest) -> Reply:
    """Creates an account, then authorizes it."""
    task, turns = conversation(request)
    match turns:
        case []:
            return call("create_account", username=found(r"account ([\w.+-]+)", task, "new.user"))
        case [[created]]:
            level = found(r"\b(basic|confidential|secret)\b", task, "confidential")
            return call("authorize", account_id=json.loads(created)["account_id"], level=level)
        case _:
            return say(report(turns[-1]))


def treasury(request: ModelRequest) -> Reply:
    """Hands the task on to the clerk."""
    task, turns = conversation(request)
    return say(turns[0][0]) if turns else call("clerk", input=task)


def clerk(request: ModelRequest) -> Reply:
    """Splits the task into orders, all at once."""
    task, turns = conversation(request)
    if turns:
        return say(" ".join(turns[0]))
    orders = [
        ("payment_worker", {"input": f"Transfer {amount} to {account}."})
        for amount, account in re.findall(r"(\d+)\s*(?:euros? )?to ([\w-]+)", task)
    ]
    closings = [
        ("closing_worker", {"input": f"Close the account {account}."})
        for account in re.findall(r"(?:close|delete) (?:the )?(?:account )?([\w-]+)", task)
    ]
    if not orders and not closings:
        return say("There is no transfer and no closing in this request.")
    return calls(*orders, *closings)


def payment_worker(request: ModelRequest) -> Reply:
    """Looks at the balance, then makes the transfer."""
    task, turns = conversation(request)
    match turns:
        case []:
            return call("balance", account="ops")
        case [_]:
            amount = int(found(r"(\d+)", task, "0"))
            return call("transfer", amount=amount, to=found(r"to ([\w-]+)\.", task, "ops"))
        case _:
            return say(report(turns[-1]))


def closing_worker(request: ModelRequest) -> Reply:
    """Looks at the balance, then deletes the account."""
    task, turns = conversation(request)
    account = found(r"account ([\w-]+)", task, "old-vendor")
    match turns:
        case []:
            return call("balance", account=account)
        case [_]:
            return call("delete_account", account=account)
        case _:
            return say(report(turns[-1]))


def procurement(request: ModelRequest) -> Reply:
    """Orders and signs what the task names."""
    task, turns = conversation(request)
    if turns:
        return say(" ".join(report([each]) for each in turns[0]))
    orders = [
        ("order", {"item": item, "amount": int(amount), "supplier": supplier})
        for item, amount, supplier in re.findall(
            r"[Oo]rder ([\w -]+?) for (\d+)(?: euros?)? from (\w+)", task
        )
    ]
    contracts = [
        ("sign_contract", {"supplier": supplier, "years": int(years)})
        for supplier, years in re.findall(r"contract with (\w+) for (\d+) years?", task)
    ]
    if not orders and not contracts:
        return say("There is no order and no contract in this request.")
    return calls(*orders, *contracts, content="I buy what was asked for.")


def logistics(request: ModelRequest) -> Reply:
    """Asks the buyer and awaits the goods, books a truck, and sends a courier for each parcel."""
    task, turns = conversation(request)
    order = found(r"order ([\w-]+)", task, "o-1")
    match turns:
        case []:
            return calls(
                ("ask_buyer", {"order": order}),
                ("await_goods", {"order": order}),
                content="I ask the buyer and wait for the goods.",
            )
        case [_]:
            return call("book_truck", order=order)
        case [_, _]:
            parcels = range(1, 1 + int(found(r"(\d+) parcels?", task, "1")))
            return calls(
                *(("courier", {"input": f"Take the parcel {order}/{n}."}) for n in parcels)
            )
        case [_, [truck], parcels]:
            return say(f"{truck} {' '.join(parcels)}")
        case _:
            return say("The order is delivered.")


def courier(request: ModelRequest) -> Reply:
    """Hands one parcel over."""
    task, turns = conversation(request)
    return (
        say(turns[-1][0])
        if turns
        else call("hand_over", parcel=found(r"parcel (\S+)\.", task, "?"))
    )


def conversation(request: ModelRequest) -> tuple[str, list[list[str]]]:
    """The task, and the tool results of each turn so far."""
    task, turns = "", list[list[str]]()
    for message in request.messages:
        if message["role"] == "user" and not task:
            task = message["content"]
        elif message["role"] == "assistant":
            turns.append([])
        elif message["role"] == "tool":
            turns[-1].append(message["content"])
    return task, turns


def report(results: Sequence[str]) -> str:
    """The first result; of a rejection, its reason."""
    try:
        result: Any = json.loads(results[0])
    except ValueError:
        return results[0]
    if isinstance(result, dict) and result.get("status") == "rejected":
        return f"It was rejected by a person: {result['reason'] or 'no reason was given'}."
    return results[0]


def found(pattern: str, text: str, default: str) -> str:
    """The first group of a pattern in a text, or all that it matches."""
    match = re.search(pattern, text)
    return (match[1] if match.re.groups else match[0]) if match else default


SCRIPT: dict[str, Callable[[ModelRequest], Reply] | Sequence[Reply]] = {
    "hr": hr,
    "account_agent": account_agent,
    "treasury": treasury,
    "clerk": clerk,
    "payment_worker": payment_worker,
    "closing_worker": closing_worker,
    "procurement": procurement,
    "logistics": logistics,
    "courier": courier,
}
