"""Models on machines: names, formats and addresses that may be trusted, how fast to fetch, and what to drop."""
