"""The pure heart: a continuation, what it needs next, and how it takes in what happened."""
