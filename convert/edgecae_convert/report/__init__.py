"""Figures and texts of a conversion, and its page."""
