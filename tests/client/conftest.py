"""A server for the SDK: the one of the tests of the HTTP interface."""

from tests.surfaces.http.conftest import http_server, site

__all__ = ["http_server", "site"]
