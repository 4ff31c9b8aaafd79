"""`python -m agent_continuations.cli`, where the package is not installed."""

from agent_continuations.cli import main

if __name__ == "__main__":
    main()
