"""Identity, sessions, sign-in, and signed tokens."""
