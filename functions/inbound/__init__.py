"""Events, from EventBridge."""
