"""What each route takes and gives; who may call it, the template says."""

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
        "request_id": "one of the run's requests",
        "grant_id": "the grant",
        "token": "the link's or the job's token; before a request_id, the run's id",
        "name": "the event's name",
    }.items()
}
_PROBLEMS = {
    401: "nobody is signed in, or the token is not good",
    403: "the caller may not do this, or is not who it says",
    404: "there is no such thing, or the caller may not know of it",
    409: "somebody else was first, or it is too late",
    422: "the request does not fit; `errors` names the fields",
    429: "too many requests; API Gateway says so",
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


# What is accepted, and happens soon.
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


_AFTER_START = ("readRun", "readContinuation", "readTimeline", "readAudit", "cancelRun")
_DECIDED = {
    "decision": "approve",
    "request_id": "$response.body#/waiting/0/request_id",
}
_RUNS: dict[tuple[str, str], dict[str, Any]] = {
    ("/runs", "post"): {
        "operationId": "startRun",
        "tags": ["runs"],
        "summary": "Start a run",
        "parameters": [_key("The same key and body find the same run; another body is a 409.")],
        "requestBody": _body("application/json", _of("Start")),
        "responses": {
            "202": _gives(
                _of("Accepted"),
                "it is on record, and begins",
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
            _query("status", "only these", type="string", enum=[each.value for each in Status]),
            _query("agent", "only this agent's", type="string"),
            _query("cursor", "`next` of the page before", type="string"),
            _query("limit", "of one page", type="integer", minimum=1, maximum=100, default=50),
        ],
        "responses": {
            "200": _gives(_of("RunPage"), "a page"),
            **_refusals(403, 422, 503),
        },
    },
    ("/runs/{run_id}", "get"): {
        **_run(
            "readRun",
            "Status, result, and what it waits for",
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
                "answer once it has ended or waits, after so many seconds at the latest",
                type="integer",
                minimum=1,
                maximum=20,
            ),
            _query("after", "wait also until this `updated_at` has changed", type="string"),
        ],
    },
    ("/runs/{run_id}/continuation", "get"): _run(
        "readContinuation", "The whole state, recursive", _gives(_of("Continuation"), "the state")
    ),
    ("/runs/{run_id}/timeline", "get"): _run(
        "readTimeline", "What happened, in order of time", _gives(_of("Timeline"), "the lines")
    ),
    ("/runs/{run_id}/audit", "get"): _run(
        "readAudit",
        "Who was asked, who answered, and what they saw, chained by hash",
        _gives(
            _of("Audit"),
            "the trail; `python -m agent_continuations.operations.verify_audit` checks it",
        ),
    ),
    ("/runs/{run_id}/decisions", "post"): {
        **_run(
            "decide",
            "Answer a request",
            _gives(_of("DecisionResultView"), "what stands now"),
            *(409, 422),
        ),
        "requestBody": _body("application/json", _of("Decide")),
    },
    ("/runs/{run_id}/messages", "post"): {
        **_run(
            "messageRun",
            "Say something to a run; one that is completed goes on with it",
            _gives(_of("MessageView"), "its model hears it with its next turn"),
            *(409, 422),
        ),
        "parameters": [_key("The same key and text are the same message.")],
        "requestBody": _body("application/json", _of("Say")),
    },
    ("/runs/{run_id}/events/{name}", "post"): {
        **_run(
            "signalRun",
            "Tell a run of an event; one that comes early is kept",
            _gives(_of("SignalView"), "the first call that waits for it takes it"),
            *(409, 422),
        ),
        "parameters": [_key("The same key and event are the same event.")],
        "requestBody": _body("application/json", _of("Happen")),
    },
    ("/runs/{run_id}/pause", "post"): _run(
        "pauseRun",
        "Hold a run: it takes decisions, and does not move",
        _gives(_of("Summary"), "nothing new begins"),
        409,
    ),
    ("/runs/{run_id}/resume", "post"): _run(
        "resumeRun", "Let a paused run go on", _gives(_of("Summary"), "it goes on"), 409
    ),
    ("/runs/{run_id}/cancel", "post"): _run(
        "cancelRun", "Let nothing new begin", _gives(_of("Summary"), "it will end"), 409
    ),
    ("/runs/{run_id}/redrive", "post"): _run(
        "redriveRun", "Let a parked run go on", _gives(_of("Summary"), "it goes on"), 409
    ),
    ("/grants", "get"): {
        "operationId": "listGrants",
        "tags": ["grants"],
        "summary": "What people have agreed to in advance",
        "parameters": [_query("approver", "only this person's", type="string")],
        "responses": {"200": _gives(_of("GrantPage"), "all of them"), **_refusals(403, 422, 503)},
    },
    ("/grants/{grant_id}/revoke", "post"): {
        "operationId": "revokeGrant",
        "tags": ["grants"],
        "summary": "Let a grant vote no more",
        "responses": {
            "200": _gives(_of("GrantView"), "the grant"),
            **_refusals(403, 404, 409, 503),
        },
    },
}
_CALLBACKS: dict[tuple[str, str], dict[str, Any]] = {
    ("/callbacks/{token}", "post"): {
        "operationId": "endJob",
        "tags": ["callbacks"],
        "summary": "Tell the outcome of what a tool has started elsewhere",
        "requestBody": _body("application/json", _of("Callback")),
        "responses": {
            "200": _gives(_of("CompletedView"), "it stands now, or did already"),
            **_refusals(404, 409, 422, 503),
        },
    },
}
_SETTLED = {"200": _gives(_of("DecisionResultView"), "what stands now, told to a program")}
_SENT_BACK = {"303": _bare("a browser is sent back to the page", "Location")}
_TO_SIGN_IN = {"303": _bare("a browser is sent to sign in", "Location")}
_EDIT = _query("edit", "show the form for other arguments", type="string")


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
        "The approver's page; changes nothing, ever",
        {"200": _page("the page"), **_refusals(404, 409, 503, page=True)},
        parameters=[_EDIT],
    ),
    ("/approvals/{token}", "head"): _people(
        "probeLink",
        "As GET, without the page",
        {str(each): {"description": "as GET"} for each in (200, 404, 409, 429, 503)},
        parameters=[_EDIT],
    ),
    ("/approvals/{token}", "options"): _people(
        "askLink", "What the link can do", {"204": _bare("its methods", "Allow"), **_refusals()}
    ),
    ("/approvals/{token}", "post"): _people(
        "answerByLink",
        "Answer as the approver whom the link was made for",
        {**_SETTLED, **_SENT_BACK, **_refusals(403, 404, 409, 422, 503, page=True)},
        requestBody=_body(FORM, _of("AnswerForm")),
    ),
    ("/approvals", "get"): _people(
        "openInbox",
        "All that waits for whoever is signed in",
        {"200": _page("the inbox"), **_TO_SIGN_IN, **_refusals(401, 503, page=True)},
    ),
    ("/approvals", "post"): _people(
        "answerMany",
        "Answer many requests, each by itself, or revoke a grant",
        {
            "200": {
                "description": "what became of each; for a browser, the inbox",
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
        "The page of a request, for whoever is signed in and asked",
        {"200": _page("the page"), **_TO_SIGN_IN, **_refusals(401, 404, 503, page=True)},
        parameters=[_EDIT],
    ),
    ("/approvals/{token}/{request_id}", "post"): _people(
        "answerRequest",
        "Answer as whoever is signed in",
        {
            **_SETTLED,
            **_SENT_BACK,
            **_refusals(401, 403, 404, 409, 422, 503, page=True),
        },
        requestBody=_body(FORM, _of("AnswerForm")),
    ),
    SLACK: _people(
        "answerInSlack",
        "What Slack sends when somebody clicks there",
        {
            "200": {
                "description": "taken; faults of a dialog, if there are any",
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
        "summary": "To the identity provider",
        "parameters": [_query("next", "a path here to go on to", type="string")],
        "responses": {
            "303": _bare("to the provider", "Location", "Set-Cookie"),
            **_refusals(422, 501, 503, page=True),
        },
    },
    ("/signin/callback", "get"): {
        "operationId": "signInCallback",
        "summary": "Back from the identity provider",
        "parameters": [
            _query(name, "the provider's", type="string") for name in ("code", "state", "error")
        ],
        "responses": {
            "303": _bare("to where one wanted to go", "Location", "Set-Cookie"),
            **_refusals(403, 422, 501, 503, page=True),
        },
    },
    ("/signin/me", "get"): {
        "operationId": "whoAmI",
        "summary": "Who is signed in",
        "responses": {"200": _gives(_of("Me"), "a person"), **_refusals(401, 503)},
    },
    ("/signout", "post"): {
        "operationId": "signOut",
        "summary": "Forget who is signed in",
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
                "status", "only these", type="string", enum=["", *(each.value for each in Status)]
            ),
            _query("agent", "only this agent's", type="string"),
            _query("cursor", "of the link on the page before", type="string"),
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
        "parameters": [_query("still", "do not look again by itself", type="string")],
        "responses": {
            "200": _page("the run"),
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
