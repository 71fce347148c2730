"""Networks that were trained elsewhere: Keras files and SavedModels that anybody may have made.

Loading such a file can run code of its maker. So two walls stand before it:

1. Nothing is loaded as it came. A process of its own reads the description, compares it with lists
   of what is allowed (:mod:`~edgecae_convert.foreign.layers`,
   :mod:`~edgecae_convert.foreign.operations`), and writes a copy that holds what it has checked and
   nothing else. TensorFlow and Keras load the copy.
2. That process has bounded memory and time and, where the kernel can, no network and no right to
   write anywhere but in its scratch folder (:mod:`~edgecae_convert.foreign.sandbox`). It loads the
   network, runs it and converts it; only numbers and the bytes of a TFLite file come back.

This package imports nothing: its worker must enter the sandbox before anything else is loaded.
"""
