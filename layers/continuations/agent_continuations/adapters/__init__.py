"""The outside: one file for each thing that a port can stand for; none knows another."""
