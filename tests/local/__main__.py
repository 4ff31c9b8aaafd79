"""`make run`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "layers" / "continuations"))

try:
    from tests.local.run import main
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing: start with `make run`, which installs what is needed")

if __name__ == "__main__":
    sys.exit(main())
