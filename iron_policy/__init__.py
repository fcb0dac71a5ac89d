"""The policy engine: one document, one verdict, one charge. Knows no framework and no HTTP server."""
