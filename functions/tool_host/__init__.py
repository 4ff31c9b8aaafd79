"""A tool host: runs the bodies of tools with a role that can touch nothing of this system."""
