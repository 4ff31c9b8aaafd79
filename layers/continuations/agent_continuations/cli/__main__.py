"""Entry point of `python -m agent_continuations.cli`, for use without an installation."""

from agent_continuations.cli import main

if __name__ == "__main__":
    main()
