"""Stores, one package each; every store passes the same contract suite."""
