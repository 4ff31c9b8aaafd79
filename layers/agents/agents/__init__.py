"""Your agents. Each has a file of its own; those listed here can be started by name."""

from agents.logistics import logistics
from agents.onboarding import hr
from agents.payments import treasury
from agents.procurement import procurement

AGENTS = [hr, treasury, procurement, logistics]
