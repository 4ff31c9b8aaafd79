"""Pages and forms of approvers."""
