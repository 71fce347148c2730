"""Trainings and conversions of these tests calibrate on few batches."""

from training import quick_calibration

__all__ = ["quick_calibration"]
