"""WebRTC peer connections of agents and web callers on aiortc's lean audio path."""
