"""Denoise frames of any size with a model file."""
