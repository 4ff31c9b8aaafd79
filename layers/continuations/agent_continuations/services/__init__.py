"""Commands and queries: what handlers, pages and runners call."""
