"""Models: the names under which authors choose providers, `Agent(model="provider:name")`.

A declaration: today a deployment has one provider, which `bootstrap.engine.model` makes of its
environment. A choice among several belongs here, and each provider's client into
`adapters/models/`.
"""

from typing import TypeAlias

ModelName: TypeAlias = str
"""A model's name, as its service knows it; later with the provider's name and a colon before."""
