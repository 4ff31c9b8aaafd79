"""Scripted model of the example agents, with the same protocol as a real model.

It replies from the request alone: the offered tools identify the agent, and the conversation so far
its progress.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from tests.local.model_server import Call, Json, Reply


def respond(request: Json) -> Reply:
    """Returns the reply for a request of an example agent."""
    tools = frozenset(tool["function"]["name"] for tool in request.get("tools", ()))
    plays = {
        frozenset({"send_welcome_mail", "account_agent"}): _hr,
        frozenset({"create_account", "authorize"}): _account,
        frozenset({"clerk"}): _treasury,
        frozenset({"payment_worker", "closing_worker"}): _clerk,
        frozenset({"balance", "transfer"}): _payment,
        frozenset({"balance", "delete_account"}): _closing,
        frozenset({"order", "sign_contract"}): _procurement,
        frozenset({"ask_buyer", "await_goods", "book_truck", "rest", "courier"}): _logistics,
        frozenset({"hand_over"}): _courier,
    }
    play = plays.get(tools)
    if play is None:
        return Reply(
            content="I am the scripted model and know only the examples. Set OPENAI_API_KEY or"
            " OPENAI_BASE_URL for a real one."
        )
    messages = request["messages"]
    task = next(message["content"] for message in messages if message["role"] == "user")
    return play(task, _results(messages))


def _results(messages: Sequence[Json]) -> list[list[str]]:
    """Returns the tool results of each turn so far."""
    turns: list[list[str]] = []
    for message in messages:
        if message["role"] == "assistant":
            turns.append([])
        elif message["role"] == "tool":
            turns[-1].append(message["content"])
    return turns


def _hr(task: str, turns: list[list[str]]) -> Reply:
    if not turns:
        mail = _found(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", task, "new.colleague@example.com")
        name = _found(r"[Oo]nboard ([A-Z]\w+(?: [A-Z]\w+)*)", task, "New Colleague")
        level = _found(r"\b(basic|confidential|secret)\b", task, "confidential")
        user = mail.partition("@")[0]
        order = f"Create the account {user} and authorize it for {level}."
        return Reply(
            content="I welcome the colleague and have the account set up.",
            tool_calls=(
                Call("send_welcome_mail", {"to": mail, "name": name}),
                Call("account_agent", {"input": order}),
            ),
        )
    welcome, account = turns[0]
    return Reply(content=f"Done. {welcome} {account}")


def _account(task: str, turns: list[list[str]]) -> Reply:
    match turns:
        case []:
            user = _found(r"account ([\w.+-]+)", task, "new.colleague")
            return Reply(tool_calls=(Call("create_account", {"username": user}),))
        case [[created]]:
            level = _found(r"\b(basic|confidential|secret)\b", task, "confidential")
            account = json.loads(created)["account_id"]
            return Reply(tool_calls=(Call("authorize", {"account_id": account, "level": level}),))
        case _:
            return Reply(content=_report(turns[-1]))


def _treasury(task: str, turns: list[list[str]]) -> Reply:
    if not turns:
        return Reply(tool_calls=(Call("clerk", {"input": task}),))
    return Reply(content=turns[0][0])


def _clerk(task: str, turns: list[list[str]]) -> Reply:
    if turns:
        return Reply(content=" ".join(turns[0]))
    orders = [
        Call("payment_worker", {"input": f"Transfer {amount} to {account}."})
        for amount, account in re.findall(r"(\d+)\s*(?:euros? )?to ([\w-]+)", task)
    ]
    closings = [
        Call("closing_worker", {"input": f"Close the account {account}."})
        for account in re.findall(r"(?:close|delete) (?:the )?(?:account )?([\w-]+)", task)
    ]
    if not orders and not closings:
        return Reply(content="There is no transfer and no closing in this request.")
    return Reply(tool_calls=(*orders, *closings))


def _payment(task: str, turns: list[list[str]]) -> Reply:
    amount, account = _found(r"(\d+)", task, "0"), _found(r"to ([\w-]+)\.", task, "ops")
    match turns:
        case []:
            return Reply(tool_calls=(Call("balance", {"account": "ops"}),))
        case [_]:
            call = Call("transfer", {"amount": int(amount), "to": account})
            return Reply(tool_calls=(call,))
        case _:
            return Reply(content=_report(turns[-1]))


def _closing(task: str, turns: list[list[str]]) -> Reply:
    account = _found(r"account ([\w-]+)", task, "old-vendor")
    match turns:
        case []:
            return Reply(tool_calls=(Call("balance", {"account": account}),))
        case [_]:
            return Reply(tool_calls=(Call("delete_account", {"account": account}),))
        case _:
            return Reply(content=_report(turns[-1]))


def _procurement(task: str, turns: list[list[str]]) -> Reply:
    if turns:
        return Reply(content=" ".join(_report([each]) for each in turns[0]))
    orders = [
        Call("order", {"item": item, "amount": int(amount), "supplier": supplier})
        for item, amount, supplier in re.findall(
            r"[Oo]rder ([\w -]+?) for (\d+)(?: euros?)? from (\w+)", task
        )
    ]
    contracts = [
        Call("sign_contract", {"supplier": supplier, "years": int(years)})
        for supplier, years in re.findall(r"contract with (\w+) for (\d+) years?", task)
    ]
    if not orders and not contracts:
        return Reply(content="There is no order and no contract in this request.")
    return Reply(content="I buy what was asked for.", tool_calls=(*orders, *contracts))


def _logistics(task: str, turns: list[list[str]]) -> Reply:
    order = _found(r"order ([\w-]+)", task, "o-1")
    match turns:
        case []:
            asked = Call("ask_buyer", {"order": order}), Call("await_goods", {"order": order})
            return Reply(content="I ask the buyer and wait for the goods.", tool_calls=asked)
        case [_]:
            return Reply(tool_calls=(Call("book_truck", {"order": order}),))
        case [_, _]:
            parcels = range(1, 1 + int(_found(r"(\d+) parcels?", task, "1")))
            jobs = [Call("courier", {"input": f"Take the parcel {order}/{n}."}) for n in parcels]
            return Reply(tool_calls=tuple(jobs))
        case [_, [truck], parcels]:
            return Reply(content=f"{truck} {' '.join(parcels)}")
        case _:
            return Reply(content="The order is delivered.")


def _courier(task: str, turns: list[list[str]]) -> Reply:
    if turns:
        return Reply(content=turns[-1][0])
    return Reply(tool_calls=(Call("hand_over", {"parcel": _found(r"parcel (\S+)\.", task, "?")}),))


def _report(results: Sequence[str]) -> str:
    """Summarizes the last result; a rejection is reported with its reason."""
    try:
        told: Any = json.loads(results[0])
    except ValueError:
        return results[0]
    if isinstance(told, dict) and told.get("status") == "rejected":
        return f"It was rejected by a person: {told['reason'] or 'no reason was given'}."
    return results[0]


def _found(pattern: str, text: str, default: str) -> str:
    match = re.search(pattern, text)
    return (match[1] if match.re.groups else match[0]) if match else default
