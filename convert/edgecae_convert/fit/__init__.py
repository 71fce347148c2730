"""From a camera, pairs or bursts to a model file that is no worse than the shipped one.

:func:`edgecae_convert.fit.fitting.fit` does what ``edgecae fit`` does: records, measures, trains,
converts and judges. Each step leaves a file in the working folder and is passed over when it is
there.
"""
