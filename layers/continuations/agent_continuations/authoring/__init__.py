"""What authors of agents write with: agents, tools, policies, waits and conditions."""
