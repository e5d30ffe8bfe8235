"""Pictures, videos and sound from a ComfyUI server: its HTTP interface, its WebSocket, and what both forget to say."""

from northstar.connectors.comfyui.connector import ComfyUIConnector
from northstar.connectors.comfyui.facts import ComfyDevice, ComfyFacts
from northstar.connectors.comfyui.rules import ComfyBounds, ComfyPatience

__all__ = ["ComfyBounds", "ComfyDevice", "ComfyFacts", "ComfyPatience", "ComfyUIConnector"]
