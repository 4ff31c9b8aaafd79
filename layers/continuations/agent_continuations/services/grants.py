"""Grants as people make, see and revoke them."""

from collections.abc import Mapping
from datetime import timedelta
from secrets import token_bytes

from agent_continuations.core.approvals.grant import ArgumentRule, Grant, Rule
from agent_continuations.core.approvals.policy import ApprovalPolicy, normalized
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.lookup import Request
from agent_continuations.core.decisions.responses import Decide, GrantTerms
from agent_continuations.core.ids import is_opaque_id, opaque_id
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.run import LoadedRun
from agent_continuations.core.voting import eligible_stage
from agent_continuations.errors import Forbidden, Invalid, NotFound
from agent_continuations.ports.clock import Clock
from agent_continuations.ports.store import Store

MAX_USES = 1_000_000


class GrantService:
    """What approvers of one tenant have agreed to in advance."""

    def __init__(self, *, store: Store, tenant: str, clock: Clock) -> None:
        self._store = store
        self._tenant = tenant
        self._clock = clock

    def prepare(
        self, loaded: LoadedRun, request: Request, answer: Decide, wanted: GrantTerms
    ) -> Grant:
        """A grant of whoever approves a request, for calls like it; it is not stored yet.

        Args:
            loaded, request: the request, open yet.
            answer: the approval; its approver makes the grant.
            wanted: what else is agreed to with it.

        Raises:
            Invalid: longer than the policy allows, or a rule that does not fit its argument.
            Forbidden: the approver is not asked.
        """
        call, approval, gate = request.call, request.call.approval, request.call.gate
        if approval is None or gate is None or isinstance(call.plan, RefusedPlan):
            raise Invalid(
                "a standing approval is not possible here", [("grant", "not allowed here")]
            )
        if request.decision or answer.verdict is not Verdict.APPROVE:
            raise Invalid("a standing approval needs an approval", [("grant", "not allowed here")])
        if answer.approver is None:
            raise Invalid("a standing approval needs an approver", [("approver", "required")])
        _check(gate, wanted.seconds, wanted.max_uses)
        head, now = loaded.head, self._clock()
        _, group = eligible_stage(
            approval, gate, answer.approver, groups=answer.groups, requester=head.requester
        )
        return Grant(
            grant_id=opaque_id(token_bytes(10)),
            tenant=self._tenant,
            approver=answer.approver,
            member_of=group,
            agent=loaded.continuation.frame_at(request.path[:-1]).agent,
            tool=call.plan.tool,
            schema_version=call.plan.schema_version,
            conditions=_conditions(answer.arguments or request.asked.arguments, wanted.rules),
            made_at=now,
            expires_at=now + timedelta(seconds=wanted.seconds),
            via=answer.via,
            authentication=answer.authentication,
            run_id=head.run_id,
            request_id=request.request_id,
            max_uses=wanted.max_uses,
        )

    def make(self, grant: Grant) -> None:
        """Store a grant: from now on it votes."""
        self._store.grant(grant)

    def all(self, approver: str | None = None) -> list[Grant]:
        """Grants that are kept, newest first, of one approver or of all; those that ended too."""
        found = self._store.grants(self._tenant)
        mine = [
            each
            for each in found
            if approver is None or normalized(each.approver) == normalized(approver)
        ]
        return sorted(mine, key=lambda each: each.made_at, reverse=True)

    def revoke(self, grant_id: str, *, by: str, only_of: str | None = None) -> Grant:
        """End a grant. What it has decided stands.

        Args:
            grant_id: the grant.
            by: who revokes it, for the record.
            only_of: whose it must be.

        Raises:
            NotFound: there is no such grant.
            Forbidden: it is another's.
        """
        found = [each for each in self.all() if each.grant_id == grant_id]
        if not found or not is_opaque_id(grant_id):
            raise NotFound(f"there is no standing approval {grant_id!r}")
        if only_of is not None and normalized(found[0].approver) != normalized(only_of):
            raise Forbidden("this standing approval is not yours", [("grant_id", "not yours")])
        return self._store.revoke(found[0], by=by, now=self._clock())


def _check(gate: ApprovalPolicy, seconds: int, max_uses: int | None) -> None:
    if not gate.grant_seconds:
        raise Invalid("the policy allows no standing approval", [("grant", "not allowed here")])
    if not 1 <= seconds <= gate.grant_seconds:
        fields = [("grant.seconds", f"must be from 1 to {gate.grant_seconds}")]
        raise Invalid("the policy does not allow a standing approval for that long", fields)
    if max_uses is not None and not 1 <= max_uses <= MAX_USES:
        raise Invalid("invalid number of uses", [("grant.max_uses", f"must be 1 to {MAX_USES}")])


def _conditions(
    arguments: Mapping[str, object], rules: Mapping[str, Rule]
) -> dict[str, ArgumentRule]:
    unknown = [(f"grant.rules.{name}"[:100], "unknown") for name in rules if name not in arguments]
    if unknown:
        raise Invalid("unknown argument", unknown)
    conditions = {}
    for name, value in arguments.items():
        rule = rules.get(name, "is")
        if rule == "up_to" and (type(value) not in (int, float) or value < 0):  # type: ignore[operator]
            fields = [(f"grant.rules.{name}", "up_to needs a number that is not negative")]
            raise Invalid("this rule is not possible for the argument", fields)
        conditions[name] = ArgumentRule(rule=rule, value=None if rule == "any" else value)
    return conditions
