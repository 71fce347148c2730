"""Measure: how long denoisers take, how good they are, beside what else one could run.

``edgecae bench`` and the files of ``benchmarks/`` both call this. Nothing optional is imported
before it is asked for: other denoisers' packages, TensorFlow, what makes reports.
"""
