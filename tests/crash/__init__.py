"""The engine where things go wrong."""

import sys

from tests.local.template import ROOT

# Some modules here are programs, which no test runner has told where the library is.
if (layer := str(ROOT / "layers" / "continuations")) not in sys.path:
    sys.path.insert(1, layer)
