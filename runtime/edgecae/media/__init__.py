"""Frames, image files, and where frames come from and go to."""
