"""Pages: the renderer, and forms made from JSON schemas."""
