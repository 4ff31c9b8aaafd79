"""HTML forms from JSON schemas, and JSON from what is posted."""
