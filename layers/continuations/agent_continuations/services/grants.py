"""Makes, lists and revokes grants: standing approvals for similar calls."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from secrets import token_bytes
from typing import Any

from agent_continuations.core.approvals.grant import ArgumentRule, Grant, Rule
from agent_continuations.core.approvals.policy import MAX_MEMBER_GRANT_SECONDS, normalized
from agent_continuations.core.approvals.request import Decision, Verdict
from agent_continuations.core.base import storable
from agent_continuations.core.decisions.lookup import Request
from agent_continuations.core.decisions.responses import Decide, GrantTerms, Response
from agent_continuations.core.ids import is_opaque_id, opaque_id
from agent_continuations.core.plans import RefusedPlan, ToolPlan
from agent_continuations.core.requesters import requesters
from agent_continuations.core.run import LoadedRun
from agent_continuations.core.voting import approver_name, eligible_stage
from agent_continuations.errors import Forbidden, Invalid, NotFound
from agent_continuations.ports.clock import Clock
from agent_continuations.ports.store import GrantStore

MAX_USES = 1_000_000


class GrantService:
    """The grants of one tenant's approvers."""

    def __init__(self, *, store: GrantStore, tenant: str, clock: Clock) -> None:
        self._store = store
        self._tenant = tenant
        self._clock = clock

    def prepare(
        self,
        loaded: LoadedRun,
        request: Request,
        response: Response,
        wanted: GrantTerms | None,
        edited: Mapping[str, Any] | None = None,
    ) -> Grant | None:
        """The grant of an approver for calls like the one of a request; it is stored with the
        approval, in one transaction.

        Args:
            loaded: the run.
            request: the open request.
            response: the approval; its approver makes the grant.
            wanted: the terms of the grant; None where no grant is wanted.
            edited: the arguments as they are shown, if the response has edited them.

        Raises:
            Invalid: longer than the policy allows, or a rule that its argument does not allow.
            Forbidden: the approver is not eligible.
        """
        if wanted is None:
            return None
        call, approval, policy = request.call, request.call.approval, request.call.gate
        if approval is None or policy is None or isinstance(call.plan, RefusedPlan):
            raise Invalid(
                "a standing approval is not possible here", [("grant", "not allowed here")]
            )
        if not isinstance(response, Decide) or response.verdict is not Verdict.APPROVE:
            raise Invalid("a standing approval needs an approval", [("grant", "not allowed here")])
        if response.approver is None:
            raise Invalid("a standing approval needs an approver", [("approver", "required")])
        head, now = loaded.head, self._clock()
        _, group = eligible_stage(
            approval,
            policy,
            response.approver,
            groups=response.groups,
            requesters=requesters(head, loaded.continuation, request.path),
        )
        longest = policy.grant_seconds
        if group is not None:
            longest = min(longest, MAX_MEMBER_GRANT_SECONDS)
        _check(longest, wanted.seconds, wanted.max_uses)
        arguments = request.asked.arguments if edited is None else edited
        masked = call.plan.masked if isinstance(call.plan, ToolPlan) else ()
        return Grant(
            grant_id=opaque_id(token_bytes(10)),
            tenant=self._tenant,
            approver=response.approver,
            member_of=group,
            agent=loaded.continuation.frame_at(request.path[:-1]).agent,
            tool=call.plan.tool,
            schema_version=call.plan.schema_version,
            conditions=_argument_rules(arguments, wanted.rules, masked),
            made_at=now,
            expires_at=now + timedelta(seconds=wanted.seconds),
            via=response.via,
            authentication=response.authentication,
            run_id=head.run_id,
            request_id=request.request_id,
            max_uses=wanted.max_uses,
        )

    def made_with(self, run_id: str, request_id: str, vote: Decision) -> bool:
        """Whether a grant was stored with an approval of a request."""
        return any(
            (each.run_id, each.request_id) == (run_id, request_id)
            and each.made_at >= vote.decided_at
            for each in self.all(vote.approver)
        )

    def all(self, approver: str | None = None) -> list[Grant]:
        """All stored grants of one approver, or of all, newest first; ended ones are included."""
        found = self._store.grants(self._tenant)
        mine = [
            each
            for each in found
            if approver is None or normalized(each.approver) == normalized(approver)
        ]
        return sorted(mine, key=lambda each: each.made_at, reverse=True)

    def end_memberships(self, approver: str, groups: Collection[str]) -> list[Grant]:
        """End the grants that a person has given as a member of groups that they have left.

        Args:
            approver: the person.
            groups: the groups that they are in now, as the identity provider says.

        Returns:
            The grants that ended.
        """
        now = self._clock()
        return [
            self._store.revoke(each, by=f"left {each.member_of}", now=now)
            for each in self.all(approver)
            if each.is_active(now)
            and each.member_of is not None
            and approver_name([each.member_of], approver, groups) is None
        ]

    def revoke(self, grant_id: str, *, by: str, only_of: str | None = None) -> Grant:
        """End a grant. Decisions that it has made stand.

        Args:
            grant_id: the grant.
            by: the person who revokes it, for the record.
            only_of: the approver that the grant must belong to; None for any.

        Raises:
            NotFound: there is no such grant.
            Forbidden: the grant belongs to another approver.
        """
        by = storable(by)
        found = [each for each in self.all() if each.grant_id == grant_id]
        if not found or not is_opaque_id(grant_id):
            raise NotFound(f"there is no standing approval {grant_id!r}")
        if only_of is not None and normalized(found[0].approver) != normalized(only_of):
            raise Forbidden("this standing approval is not yours", [("grant_id", "not yours")])
        return self._store.revoke(found[0], by=by, now=self._clock())


def _check(longest: int, seconds: int, max_uses: int | None) -> None:
    if not longest:
        raise Invalid("the policy allows no standing approval", [("grant", "not allowed here")])
    if not 1 <= seconds <= longest:
        fields = [("grant.seconds", f"must be from 1 to {longest}")]
        raise Invalid("the policy does not allow a standing approval for that long", fields)
    if max_uses is not None and not 1 <= max_uses <= MAX_USES:
        raise Invalid("invalid number of uses", [("grant.max_uses", f"must be 1 to {MAX_USES}")])


def _argument_rules(
    arguments: Mapping[str, object], rules: Mapping[str, Rule], masked: Sequence[str]
) -> dict[str, ArgumentRule]:
    unknown = [(f"grant.rules.{name}"[:100], "unknown") for name in rules if name not in arguments]
    if unknown:
        raise Invalid("unknown argument", unknown)
    rules_by_name = {}
    for name, value in arguments.items():
        rule = rules.get(name, "is")
        if rule != "any" and name in masked:
            fields = [(f"grant.rules.{name}", "must be any, because the value is masked")]
            raise Invalid("a masked value cannot stand in a standing approval", fields)
        if rule == "up_to" and (type(value) not in (int, float) or value < 0):  # type: ignore[operator]
            fields = [(f"grant.rules.{name}", "up_to needs a number that is not negative")]
            raise Invalid("this rule is not possible for the argument", fields)
        rules_by_name[name] = ArgumentRule(rule=rule, value=None if rule == "any" else value)
    return rules_by_name
