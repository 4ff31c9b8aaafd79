"""Tests of agents against recorded runs. This package is not part of the deployed layer.

Nothing is imported before it is used, because pytest imports the plugin in here at each start.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent_continuations.testing.difference import Difference
    from agent_continuations.testing.replay import check_recording

__all__ = ["Difference", "check_recording"]

_MODULES = {"Difference": "difference", "check_recording": "replay"}


def __getattr__(name: str) -> object:
    """A public name, imported from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found
