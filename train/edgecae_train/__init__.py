"""Training: architectures, data, quantization-aware training.

Needs the extra ``train`` (or ``gpu``). Importing this package imports no TensorFlow; the modules
below it do.
"""
