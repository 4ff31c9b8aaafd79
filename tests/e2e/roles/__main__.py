"""Write the page: `python -m tests.e2e.roles`."""

import sys
import tomllib

from tests.local.template import ROOT

# The import paths are those of the tests.
settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
sys.path[:0] = [str(ROOT / each) for each in settings["pythonpath"]]

from tests.e2e.conftest import deployed  # noqa: E402 - only now can they be found
from tests.e2e.roles.document import PLACE, page  # noqa: E402
from tests.e2e.roles.observed import observe  # noqa: E402
from tests.local.ministack import isolate_from_aws  # noqa: E402

isolate_from_aws()
with deployed() as (client, system):
    PLACE.write_text(page(observe(client, system)), encoding="utf-8")
