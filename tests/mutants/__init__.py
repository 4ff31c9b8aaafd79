"""Mutation tests: the library with one change must fail its tests.

    make mutants

makes random mutants for some minutes and prints those that every test lets live. The mutants of
`store_mutants.py`, `engine_mutants.py` and `core_mutants.py` are fixed, and `make test` kills each.
"""
