"""The operations of each route. The template defines the callers that may use them."""

from collections.abc import Mapping
from typing import Any

from agent_continuations.core.run import Status
from agent_continuations.handlers.problems import CONTENT_TYPE

SLACK = ("/slack/interactions", "post")
FORM = "application/x-www-form-urlencoded"

_ID = {"type": "string", "minLength": 1}
PARAMETERS: dict[str, dict[str, Any]] = {
    name: {"name": name, "in": "path", "required": True, "description": text, "schema": _ID}
    for name, text in {
        "run_id": "the run",
        "request_id": "a request of the run",
        "grant_id": "the standing approval",
        "token": "the token of the link or the job; before a request_id, the run's id",
        "name": "the event's name",
    }.items()
}
_PROBLEMS = {
    401: "not signed in, or the token is not valid",
    403: "the caller may not do this, or may not act for this person",
    404: "not found, or not visible to the caller",
    409: "already done by another person, or too late",
    422: "the request is invalid; `errors` names the fields",
    429: "too many requests; sent by API Gateway",
    501: "no identity provider is configured",
    503: "try again",
}


def _of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _gives(schema: Mapping[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}, **more}


def _page(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"text/html": {"schema": {"type": "string"}}}}


def _bare(text: str, *headers: str) -> dict[str, Any]:
    given = {name: {"schema": {"type": "string"}, "required": True} for name in headers}
    return {"description": text, "headers": given}


def _refusals(*statuses: int, page: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {CONTENT_TYPE: {"schema": _of("Problem")}}
    if page:
        content["text/html"] = {"schema": {"type": "string"}}
    wanted = sorted({*statuses, 429})
    return {
        str(each): {
            "description": _PROBLEMS[each],
            "content": content if each != 429 else {CONTENT_TYPE: {}},
        }
        for each in wanted
    }


def _query(name: str, text: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _body(content_type: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {content_type: {"schema": schema}}}


# Accepted with 202: done shortly after the response.
_LATER = ("cancelRun", "pauseRun", "resumeRun", "redriveRun", "messageRun", "signalRun")


def _run(operation: str, summary: str, answer: dict[str, Any], *refusals: int) -> dict[str, Any]:
    status = "202" if operation in _LATER else "200"
    return {
        "operationId": operation,
        "tags": ["runs"],
        "summary": summary,
        "responses": {status: answer, **_refusals(403, 404, 503, *refusals)},
    }


def _link(operation: str, run_id: str = "$response.body#/run_id", **more: Any) -> dict[str, Any]:
    return {"operationId": operation, "parameters": {"run_id": run_id}, **more}


def _key(text: str) -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": text,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }


_AFTER_START = (
    *("readRun", "readContinuation", "readTimeline", "readAudit", "readMessages", "cancelRun"),
)
_DECIDED = {
    "decision": "approve",
    "request_id": "$response.body#/waiting/0/request_id",
}
_RUNS: dict[tuple[str, str], dict[str, Any]] = {
    ("/runs", "post"): {
        "operationId": "startRun",
        "tags": ["runs"],
        "summary": "Start a run",
        "parameters": [
            _key("The same key and body return the same run; a different body is a 409.")
        ],
        "requestBody": _body("application/json", _of("Start")),
        "responses": {
            "202": _gives(
                _of("Accepted"),
                "the run is stored and starts",
                headers=_bare("", "Location")["headers"],
                links={each: _link(each) for each in _AFTER_START},
            ),
            **_refusals(403, 404, 409, 422, 503),
        },
    },
    ("/runs", "get"): {
        "operationId": "listRuns",
        "tags": ["runs"],
        "summary": "Runs, newest first",
        "parameters": [
            _query(
                "status",
                "only runs of this status",
                type="string",
                enum=[each.value for each in Status],
            ),
            _query("agent", "only runs of this agent", type="string"),
            _query("cursor", "`next` of the previous page", type="string"),
            _query("limit", "the page size", type="integer", minimum=1, maximum=100, default=50),
        ],
        "responses": {
            "200": _gives(_of("RunPage"), "a page"),
            **_refusals(403, 422, 503),
        },
    },
    ("/runs/{run_id}", "get"): {
        **_run(
            "readRun",
            "Status, result, and open waits",
            _gives(
                _of("RunView"),
                "the run",
                links={"decide": _link("decide", requestBody=_DECIDED)},
            ),
            422,
        ),
        "parameters": [
            _query(
                "wait",
                "respond when the run has ended or is suspended, after at most this many seconds",
                type="integer",
                minimum=1,
                maximum=20,
            ),
            _query("after", "also wait until `updated_at` differs from this value", type="string"),
        ],
    },
    ("/runs/{run_id}/continuation", "get"): _run(
        "readContinuation", "The whole state, recursive", _gives(_of("Continuation"), "the state")
    ),
    ("/runs/{run_id}/timeline", "get"): _run(
        "readTimeline", "The timeline, oldest first", _gives(_of("Timeline"), "the entries")
    ),
    ("/runs/{run_id}/audit", "get"): _run(
        "readAudit",
        "The audit trail of approvals: requests, answers and the arguments shown, chained by hash",
        _gives(
            _of("Audit"),
            "the trail; `python -m agent_continuations.operations.verify_audit` checks it",
        ),
    ),
    ("/runs/{run_id}/messages", "get"): {
        **_run(
            "readMessages",
            "The requests to the model of one agent: messages, tools, reply, tokens and cost",
            _gives(
                _of("ModelRequestPage"),
                "a page; `messages` are those that the request before did not have",
            ),
            422,
        ),
        "parameters": [
            _query("path", "the path of the agent; empty for the run's first agent", type="string"),
            _query(
                "turn",
                "only the request with this number, with all its messages",
                type="integer",
                minimum=0,
                maximum=999_999_999,
            ),
            _query("cursor", "`next` of the previous page", type="string"),
            _query("limit", "the page size", type="integer", minimum=1, maximum=100, default=50),
        ],
    },
    ("/runs/{run_id}/decisions", "post"): {
        **_run(
            "decide",
            "Answer a request",
            _gives(_of("DecisionResultView"), "the current decision"),
            *(409, 422),
        ),
        "requestBody": _body("application/json", _of("Decide")),
    },
    ("/runs/{run_id}/messages", "post"): {
        **_run(
            "messageRun",
            "Send a message to a run; a completed run continues with it",
            _gives(_of("MessageView"), "included in the next turn of the model"),
            *(409, 422),
        ),
        "parameters": [_key("The same key and text send the message once.")],
        "requestBody": _body("application/json", _of("Say")),
    },
    ("/runs/{run_id}/events/{name}", "post"): {
        **_run(
            "signalRun",
            "Send an event to a run; an early event is kept",
            _gives(_of("SignalView"), "delivered to the first call that waits for it"),
            *(409, 422),
        ),
        "parameters": [_key("The same key and event send the event once.")],
        "requestBody": _body("application/json", _of("Happen")),
    },
    ("/runs/{run_id}/pause", "post"): _run(
        "pauseRun",
        "Pause a run; decisions are still recorded",
        _gives(_of("Summary"), "nothing new starts"),
        409,
    ),
    ("/runs/{run_id}/resume", "post"): _run(
        "resumeRun", "Resume a paused run", _gives(_of("Summary"), "the run continues"), 409
    ),
    ("/runs/{run_id}/cancel", "post"): _run(
        "cancelRun", "Cancel a run", _gives(_of("Summary"), "the run ends soon"), 409
    ),
    ("/runs/{run_id}/redrive", "post"): _run(
        "redriveRun", "Retry a parked run", _gives(_of("Summary"), "the run continues"), 409
    ),
    ("/agents", "get"): {
        "operationId": "listAgents",
        "tags": ["agents"],
        "summary": "Deployed agents with their tools and approval policies",
        "responses": {
            "200": _gives(_of("AgentPage"), "all agents"),
            **_refusals(403, 422),
        },
    },
    ("/grants", "get"): {
        "operationId": "listGrants",
        "tags": ["grants"],
        "summary": "Standing approvals",
        "parameters": [_query("approver", "only those of this approver", type="string")],
        "responses": {
            "200": _gives(_of("GrantPage"), "all standing approvals"),
            **_refusals(403, 422, 503),
        },
    },
    ("/grants/{grant_id}/revoke", "post"): {
        "operationId": "revokeGrant",
        "tags": ["grants"],
        "summary": "Revoke a standing approval",
        "responses": {
            "200": _gives(_of("GrantView"), "the standing approval"),
            **_refusals(403, 404, 409, 503),
        },
    },
}
_CALLBACKS: dict[tuple[str, str], dict[str, Any]] = {
    ("/callbacks/{token}", "post"): {
        "operationId": "endJob",
        "tags": ["callbacks"],
        "summary": "Report the outcome of a job that a tool started",
        "requestBody": _body("application/json", _of("Callback")),
        "responses": {
            "200": _gives(_of("CompletedView"), "the outcome is accepted, or on record"),
            **_refusals(404, 409, 422, 503),
        },
    },
}
_SETTLED = {"200": _gives(_of("DecisionResultView"), "the current decision, for programs")}
_SENT_BACK = {"303": _bare("a browser is redirected to the page", "Location")}
_TO_SIGN_IN = {"303": _bare("a browser is redirected to sign in", "Location")}
_EDIT = _query("edit", "show the form to edit the arguments", type="string")


def _people(operation: str, summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": ["approvals"],
        "summary": summary,
        "responses": responses,
        **more,
    }


_APPROVALS: dict[tuple[str, str], dict[str, Any]] = {
    ("/approvals/{token}", "get"): _people(
        "openLink",
        "The page of a request; changes nothing",
        {"200": _page("the page"), **_refusals(404, 409, 503, page=True)},
        parameters=[_EDIT],
    ),
    ("/approvals/{token}", "head"): _people(
        "probeLink",
        "As GET, without a body",
        {str(each): {"description": "as GET"} for each in (200, 404, 409, 429, 503)},
        parameters=[_EDIT],
    ),
    ("/approvals/{token}", "options"): _people(
        "askLink", "The methods of a link", {"204": _bare("the methods", "Allow"), **_refusals()}
    ),
    ("/approvals/{token}", "post"): _people(
        "answerByLink",
        "Answer as the approver of the link",
        {**_SETTLED, **_SENT_BACK, **_refusals(403, 404, 409, 422, 503, page=True)},
        requestBody=_body(FORM, _of("AnswerForm")),
    ),
    ("/approvals", "get"): _people(
        "openInbox",
        "The inbox of the signed-in person",
        {"200": _page("the inbox"), **_TO_SIGN_IN, **_refusals(401, 503, page=True)},
    ),
    ("/approvals", "post"): _people(
        "answerMany",
        "Answer several requests independently, or revoke a standing approval",
        {
            "200": {
                "description": "the result of each; for a browser, the inbox",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "items": {"type": "array", "items": _of("Done")},
                                "next": {"type": "null"},
                            },
                            "required": ["items", "next"],
                        }
                    },
                    "text/html": {"schema": {"type": "string"}},
                },
            },
            **_refusals(401, 403, 404, 422, 503, page=True),
        },
        requestBody=_body(FORM, _of("InboxForm")),
    ),
    ("/approvals/{token}/{request_id}", "get"): _people(
        "openRequest",
        "The page of a request, for signed-in approvers",
        {"200": _page("the page"), **_TO_SIGN_IN, **_refusals(401, 404, 503, page=True)},
        parameters=[_EDIT],
    ),
    ("/approvals/{token}/{request_id}", "post"): _people(
        "answerRequest",
        "Answer as the signed-in person",
        {
            **_SETTLED,
            **_SENT_BACK,
            **_refusals(401, 403, 404, 409, 422, 503, page=True),
        },
        requestBody=_body(FORM, _of("AnswerForm")),
    ),
    SLACK: _people(
        "answerInSlack",
        "Interactions sent by Slack",
        {
            "200": {
                "description": "recorded; errors of a dialog, if any",
                "content": {"application/json": {"schema": {}}},
            },
            **_refusals(403, 404, 422, 503),
        },
        requestBody=_body(
            FORM,
            {
                "type": "object",
                "properties": {"payload": {"type": "string", "description": "Slack's JSON"}},
                "required": ["payload"],
            },
        ),
    ),
}
_SIGN_IN: dict[tuple[str, str], dict[str, Any]] = {
    ("/signin", "get"): {
        "operationId": "signIn",
        "summary": "Sign in: redirect to the identity provider",
        "parameters": [_query("next", "the path of this API to return to", type="string")],
        "responses": {
            "303": _bare("redirect to the provider", "Location", "Set-Cookie"),
            **_refusals(422, 501, 503, page=True),
        },
    },
    ("/signin/callback", "get"): {
        "operationId": "signInCallback",
        "summary": "Sign in: return from the identity provider",
        "parameters": [
            _query(name, "set by the provider", type="string")
            for name in ("code", "state", "error")
        ],
        "responses": {
            "303": _bare("redirect to the path asked for at the start", "Location", "Set-Cookie"),
            **_refusals(403, 422, 501, 503, page=True),
        },
    },
    ("/signin/me", "get"): {
        "operationId": "whoAmI",
        "summary": "The signed-in person",
        "responses": {"200": _gives(_of("Me"), "the person"), **_refusals(401, 503)},
    },
    ("/signout", "post"): {
        "operationId": "signOut",
        "summary": "Sign out",
        "responses": {
            "200": _page("for a browser"),
            "204": _bare("for a program"),
            **_refusals(403, page=True),
        },
    },
}
_WEB: dict[tuple[str, str], dict[str, Any]] = {
    ("/web", "get"): {
        "operationId": "webRuns",
        "summary": "Runs, newest first, as a page for operators",
        "parameters": [
            _query(
                "status",
                "only runs of this status",
                type="string",
                enum=["", *(each.value for each in Status)],
            ),
            _query("agent", "only runs of this agent", type="string"),
            _query("cursor", "from the link on the previous page", type="string"),
        ],
        "responses": {
            "200": _page("the list"),
            **_TO_SIGN_IN,
            **_refusals(401, 403, 422, 503, page=True),
        },
    },
    ("/web/runs/{run_id}", "get"): {
        "operationId": "webRun",
        "summary": "The page of a run",
        "parameters": [_query("still", "do not refresh the page", type="string")],
        "responses": {
            "200": _page("the run"),
            **_TO_SIGN_IN,
            **_refusals(401, 403, 404, 422, 503, page=True),
        },
    },
    ("/web/runs/{run_id}/messages", "get"): {
        "operationId": "webMessages",
        "summary": "The page of the messages to the model of one agent",
        "parameters": [
            _query("path", "the path of the agent; empty for the run's first agent", type="string"),
            _query("cursor", "from the link on the previous page", type="string"),
        ],
        "responses": {
            "200": _page("the requests"),
            **_TO_SIGN_IN,
            **_refusals(401, 403, 404, 422, 503, page=True),
        },
    },
}
OPERATIONS = {
    **_RUNS,
    **_CALLBACKS,
    **_APPROVALS,
    **{route: {"tags": ["sign-in"], **about} for route, about in _SIGN_IN.items()},
    **{route: {"tags": ["web"], **about} for route, about in _WEB.items()},
}
