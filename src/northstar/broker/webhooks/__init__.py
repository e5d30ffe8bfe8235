"""Webhooks: who is told of what, making deliveries of events, sending them, and the desk where clients ask for it."""
