"""Write the document."""

import sys
import tomllib

from tests.local.template import ROOT

# The import paths are those of the tests.
settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
sys.path[:0] = [str(ROOT / each) for each in settings["pythonpath"]]

from tests.openapi.document import PLACE, text  # noqa: E402 - only now can they be found

PLACE.write_text(text(), encoding="utf-8")
