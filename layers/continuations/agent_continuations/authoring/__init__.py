"""The authoring API: agents, tools, approval policies, waits and conditions."""
