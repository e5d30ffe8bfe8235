"""Webhooks: which events go to whom, how they are signed, when they are tried again, and which addresses may be reached."""
