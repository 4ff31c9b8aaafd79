"""The interfaces that adapters implement."""
