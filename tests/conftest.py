"""No test may reach an AWS account, whatever the shell that runs it is set up for."""

from tests.local.ministack import isolate_from_aws

isolate_from_aws()
