"""One deployment for each test: the template's functions on moto, and a model on loopback."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from agent_continuations.bootstrap.aws import client as aws_clients
from tests.local import script
from tests.local.issuer import IssuerServer
from tests.local.model_server import ModelServer
from tests.support.deployment import Deployment
from tests.support.lambda_invocation import REGION


@pytest.fixture(scope="module", autouse=True)
def aws() -> Iterator[None]:
    """AWS in this process, with new clients that are not used elsewhere."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        aws_clients.cache_clear()
        yield
        aws_clients.cache_clear()


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """The scripted model of the two examples; a test may put its own `respond` in place."""
    with ModelServer(script.respond, api_key="sk-test") as server:
        yield server
        assert not server.refusals


@pytest.fixture(scope="session")
def issuer() -> Iterator[IssuerServer]:
    """The identity provider, for tests whose deployment trusts it."""
    with IssuerServer() as server:
        yield server


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch, model: ModelServer) -> Iterator[Deployment]:
    """Check after each test that the log has no link and no wake-up message was lost."""
    deployed = Deployment(monkeypatch, model.base_url)
    yield deployed
    log = deployed.log.getvalue()
    for mail in deployed.mails():
        assert "." not in mail.token or mail.token not in log
    assert "wake-up message lost" not in log
