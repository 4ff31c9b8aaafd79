"""The open request that a decision is for, and what people can say to it."""
