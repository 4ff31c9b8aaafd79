"""Read models: what the API, pages and the command line show."""
