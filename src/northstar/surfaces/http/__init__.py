"""The broker's front: what is reached by HTTP and WebSocket."""
