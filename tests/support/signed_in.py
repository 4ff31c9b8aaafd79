"""A person who is signed in, in a browser."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.local.issuer import IssuerServer
from tests.support.deployment import Deployment
from tests.support.form_page import Browser
from tests.support.http_answers import Answer
from tests.support.safe_pages import assert_is_a_safe_page

LEAD, CFO = "lead@example.com", "cfo@example.com"
LAWYER = "lena@example.com"


class SignedInBrowser:
    """A browser with the provider's token in its cookie."""

    def __init__(
        self, deployment: Deployment, issuer: IssuerServer, email: str, *groups: str
    ) -> None:
        self.deployment = deployment
        self.cookie = f"__Host-session={issuer.token(email, groups)}"

    def get(self, name: str, **params: str) -> Answer:
        return self.deployment.http(name, params=params or None, headers={"Cookie": self.cookie})

    def post(
        self, name: str, form: Mapping[str, object], *, accept: str = "text/html", **params: str
    ) -> Answer:
        headers = {"Cookie": self.cookie, "Accept": accept}
        body = urlencode(form, doseq=True)
        return self.deployment.http(name, params=params or None, body=body, headers=headers)

    def inbox(self) -> Answer:
        answer = self.get("inbox")
        assert_is_a_safe_page(answer)
        return answer

    def picks(self) -> list[str]:
        return re.findall(r'name="pick" value="([^"]+)"', self.inbox().body)

    def answer_many(self, decision: str, picks: list[str], **more: str) -> Answer:
        nonce = Browser(self.inbox().body).posted.get("nonce", "")
        return self.post(
            "inbox-decision", {"nonce": nonce, "decision": decision, "pick": picks, **more}
        )
