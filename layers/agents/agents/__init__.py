"""Your agents, one file each; the agents in `AGENTS` can be started by name."""

from agents.logistics import logistics
from agents.onboarding import hr
from agents.payments import treasury
from agents.procurement import procurement

AGENTS = [hr, treasury, procurement, logistics]
