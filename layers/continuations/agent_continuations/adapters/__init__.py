"""The outside: one file for each thing that a port can stand for. Adapters do not know each other."""
