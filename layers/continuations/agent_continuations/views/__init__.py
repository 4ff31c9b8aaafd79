"""Read models of the API, the pages and the command line."""
