"""The one place where TensorFlow, tf-keras and tfmot are imported.

The Keras that QAT needs is Keras 2 (``tf_keras``): tfmot refuses the models of Keras 3. The two
variables below must be in the environment before TensorFlow is first imported.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from edgecae.device.stderr import silenced

with silenced():  # oneDNN and CUDA introduce themselves whatever the log level
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    tf.config.list_physical_devices()

# What goes wrong comes as an exception; its warnings are about its own inside.
tf.get_logger().setLevel("ERROR")

__all__ = ["keras", "tf", "tfmot"]
