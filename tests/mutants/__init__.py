"""Mutation tests: the library with one change must fail its tests.

    make mutants

makes random mutants for some minutes and prints those that no test notices. The mutants in the
tables `*_mutants.py` are fixed, and `make test` kills each.
"""
