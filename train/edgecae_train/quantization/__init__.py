"""Quantization-aware training: ranges, rounding and scales."""
