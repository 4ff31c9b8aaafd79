"""The interfaces that adapters implement, one file each."""
