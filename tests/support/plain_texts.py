"""Texts for tests that compare what is shown of a text with what is shown of a harmless one."""

from agent_continuations.look_alikes import look_alikes


def without_look_alikes(text: str) -> str:
    """A text without the characters that are pointed out, and so have lines of their own."""
    return "".join(each for each in text if not look_alikes(each) and not look_alikes(f"a{each}"))
