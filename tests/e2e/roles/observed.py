"""What each role may do, as it is seen on the deployed stack."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.conftest import Client, System
from tests.e2e.roles.attacker import Attacker
from tests.e2e.roles.attacks import Attacks
from tests.e2e.roles.rehearsal import Rehearsal
from tests.e2e.roles.rights import READS, SENDS, WRITES, Right, Rights
from tests.support.template_functions import roles

YES, NO_EFFECT, DENIED = "**yes**", "no effect", ""
NO_RIGHTS = "a role without rights"


@dataclass(frozen=True)
class Observed:
    """What was seen.

    Attributes:
        tried: the names of all rights that were tried, by column.
        administrator: those whose requests an administrator may send: all, if they are right.
        unenforced: those whose requests the emulator lets a role without rights send. What the
            others may is read from their policies then.
        held: those that each role has.
        results: what came of each role's attacks, by column.
    """

    tried: Mapping[str, Sequence[str]]
    administrator: Mapping[str, Sequence[str]]
    unenforced: Mapping[str, Sequence[str]]
    held: Mapping[str, Mapping[str, Sequence[str]]]
    results: Mapping[str, Mapping[str, str]]


def observe(client: Client, system: System) -> Observed:
    """Try everything with each role of the template, and with a role without rights."""
    attacker = Attacker(system.stack.ministack.url)
    rights = Rights(client, system, attacker).all()
    administrator = [each for each in rights if each.passes]
    with _role_without_rights(system) as nobody:
        named = {role: system.role(users[0]) for role, users in roles().items()}
        named[NO_RIGHTS] = nobody
        credentials = {role: system.credentials(name) for role, name in named.items()}
        attacker.become(credentials[NO_RIGHTS])
        unenforced = [each for each in rights if each.passes]
        held = {}
        for role, name in named.items():
            attacker.become(credentials[role])
            statements = list(system.statements(name))
            held[role] = _columns(
                [
                    each
                    for each in rights
                    if (each.is_in(statements) if each in unenforced else each.passes)
                ]
            )
        results = _attacked(client, system, attacker, credentials, held)
    return Observed(_columns(rights), _columns(administrator), _columns(unenforced), held, results)


def _columns(rights: Sequence[Right]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in rights:
        found.setdefault(each.column, []).append(each.name)
    return found


def _attacked(
    client: Client,
    system: System,
    attacker: Attacker,
    credentials: Mapping[str, Mapping[str, str]],
    held: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[str, dict[str, str]]:
    # Those who can do nothing to a run share one.
    names = {role: role if _can_harm(held[role]) else "others" for role in credentials}
    victims = sorted(set(names.values()))
    attacks = Attacks(client, system, Rehearsal(system))
    prepared = attacks.prepare(victims)
    attempted = {}
    for role, given in credentials.items():
        attacker.become(given)
        attempted[role] = [each.strike(attacker) for each in prepared[names[role]]]
    attacks.let_things_happen(victims)
    came_true = {
        name: [
            {column: found() for column, found in each.succeeded.items()} for each in prepared[name]
        ]
        for name in victims
    }
    return {
        role: {
            column: YES if yes else NO_EFFECT if was_attempted else DENIED
            for was_attempted, outcome in zip(attempted[role], came_true[name], strict=True)
            for column, yes in outcome.items()
        }
        for role, name in names.items()
    }


def _can_harm(held: Mapping[str, Sequence[str]]) -> bool:
    writes = any(WRITES & set(names) for column, names in held.items() if column.startswith("`"))
    reports = "InboundQueue" in held.get(SENDS, ())
    return writes or reports or "SigningSecret" in held.get(READS, ())


@contextmanager
def _role_without_rights(system: System) -> Iterator[str]:
    """The name of a role that has no policy at all."""
    iam, name = system.stack.client("iam"), "without-rights"
    trust = {"Version": "2012-10-17", "Statement": []}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    try:
        yield name
    finally:
        iam.delete_role(RoleName=name)
