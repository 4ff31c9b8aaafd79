"""Commands and queries, for handlers, pages and runners."""
