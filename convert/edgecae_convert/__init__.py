"""Conversion of a trained run to a TFLite file, checked against the float network.

Needs the extra ``train``. Importing this package imports no TensorFlow; the modules below it do.
"""
