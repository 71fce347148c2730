"""The device: its processors and cameras, how fast models run on it, and its service manager."""
