"""What the HTTP interface says of itself, made from its table of routes: the OpenAPI document, a page of it, and the reference."""
