"""What a Keras file may be made of: an allowlist, and the check of a description against it.

To allow another layer, add a line to ``LAYERS``: its class, and the settings that it has beside
those of every layer. It must compute and do nothing else: no files, no functions that are named or
stored in the description. Settings hold numbers, strings, and lists of them. ``activation`` holds a
name of ``ACTIVATIONS`` or one of the layers here.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["UnsafeError", "checked"]

MAX_NUMBER = 2**16
"""Largest integer in a description: channels, sizes, indices of layers."""
MAX_STRING = 256
MAX_LAYERS = 2000
MAX_DEPTH = 16
"""Of lists in lists, and of models in models."""

CONVOLUTION = "kernel_size strides padding data_format dilation_rate groups activation use_bias"
POOLING = "pool_size strides padding data_format"

LAYERS = {
    # convolutions
    "Conv2D": f"filters {CONVOLUTION}",
    "Conv2DTranspose": f"filters output_padding {CONVOLUTION}",
    "Convolution2D": f"filters {CONVOLUTION}",
    "Convolution2DTranspose": f"filters output_padding {CONVOLUTION}",
    "Dense": "units activation use_bias",
    "DepthwiseConv2D": f"depth_multiplier {CONVOLUTION}",
    "SeparableConv2D": f"filters depth_multiplier {CONVOLUTION}",
    "SeparableConvolution2D": f"filters depth_multiplier {CONVOLUTION}",
    # activations
    "Activation": "activation",
    "ELU": "alpha",
    "LeakyReLU": "alpha negative_slope",
    "PReLU": "shared_axes",
    "ReLU": "max_value negative_slope threshold",
    "Softmax": "axis",
    "ThresholdedReLU": "theta",
    # normalization
    "BatchNormalization": "axis momentum epsilon center scale renorm renorm_clipping "
    "renorm_momentum fused virtual_batch_size synchronized",
    "GroupNormalization": "groups axis epsilon center scale",
    "LayerNormalization": "axis epsilon center scale rms_scaling",
    "Normalization": "axis mean variance invert",
    "Rescaling": "scale offset",
    "UnitNormalization": "axis",
    # two and more inputs
    "Add": "",
    "Average": "",
    "Concatenate": "axis",
    "Maximum": "",
    "Minimum": "",
    "Multiply": "",
    "Subtract": "",
    # size and shape
    "AveragePooling2D": POOLING,
    "CenterCrop": "height width data_format",
    "Cropping2D": "cropping data_format",
    "Flatten": "data_format",
    "GlobalAveragePooling2D": "data_format keepdims",
    "GlobalMaxPooling2D": "data_format keepdims",
    "MaxPooling2D": POOLING,
    "Permute": "dims",
    "Reshape": "target_shape",
    "Resizing": "height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio fill_mode "
    "fill_value data_format antialias",
    "UpSampling2D": "size data_format interpolation",
    "ZeroPadding2D": "padding data_format",
    # without effect but in training
    "AlphaDropout": "rate noise_shape",
    "Dropout": "rate noise_shape",
    "GaussianDropout": "rate",
    "GaussianNoise": "stddev",
    "Identity": "",
    "SpatialDropout2D": "rate data_format noise_shape",
    "InputLayer": "sparse ragged optional",
}
"""Classes of ``keras.layers``, and their settings beside ``OF_ALL``."""
OF_ALL = "name trainable dtype batch_input_shape batch_shape"

MODELS = ("Functional", "Model", "Sequential")
OF_MODELS = "name trainable dtype input_layers output_layers build_input_shape"


def _each(kinds: str, settings: str = "") -> dict[str, str]:
    return dict.fromkeys(kinds.split(), settings)


KERAS_3_OPERATIONS = {
    "nn": {
        **_each("HardSigmoid HardSilu HardTanh LogSigmoid Relu Relu6 Selu Sigmoid Silu"),
        **_each("Softplus Softsign"),
        **_each("LogSoftmax Softmax", "axis"),
        **_each("DepthToSpace SpaceToDepth", "block_size data_format"),
        "Elu": "alpha",
        "Gelu": "approximate",
        "LeakyRelu": "negative_slope",
    },
    "numpy": {
        **_each("Absolute Add Divide Exp GetItem Log Maximum Minimum Multiply Negative Power"),
        **_each("Reciprocal Sqrt Square Subtract Tanh TrueDivide"),
        **_each("Max Min", "axis keepdims initial"),
        **_each("Mean Sum", "axis keepdims"),
        **_each("Concatenate ExpandDims Squeeze Stack", "axis"),
        "Clip": "x_min x_max",
        "Pad": "pad_width mode",
        "Reshape": "newshape",
        "Transpose": "axes",
    },
}
"""What arithmetic between layers of Keras 3 is stored as: classes of ``keras.src.ops``."""

KERAS_2_OPERATIONS = frozenset(
    """__operators__.add __operators__.getitem cast clip_by_value concat expand_dims identity
    math.abs math.add math.divide math.exp math.log math.maximum math.minimum math.multiply
    math.negative math.pow math.reduce_max math.reduce_mean math.reduce_sum math.sigmoid math.sqrt
    math.square math.subtract math.tanh math.truediv nn.depth_to_space nn.elu nn.leaky_relu nn.relu
    nn.relu6 nn.sigmoid nn.silu nn.softplus nn.space_to_depth nn.tanh pad reshape split squeeze
    stack transpose""".split()  # noqa: SIM905
)
"""The same of Keras 2: functions of ``tf`` that its layer ``TFOpLambda`` may call."""
KERAS_2_LAYERS = ("TFOpLambda", "SlicingOpLambda")

ACTIVATIONS = frozenset(
    """elu exponential gelu hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu softmax softplus softsign swish
    tanh""".split()  # noqa: SIM905
)
TYPES = frozenset(
    "bfloat16 float16 float32 float64 int32 mixed_bfloat16 mixed_float16".split()  # noqa: SIM905
)
HALF_TYPES = ("bfloat16", "float16", "mixed_bfloat16", "mixed_float16")

POINTERS = {
    "__keras_tensor__": "shape dtype keras_history",
    "__ellipsis__": "",
    "__slice__": "start stop step",
    "__tensor__": "value dtype",
}
"""What Keras 3 stores as arguments of a layer's call beside numbers and strings."""


class UnsafeError(ValueError):
    """A file holds what is not allowed.

    The message is a sentence without its subject, which is the file.
    """


def checked(description: Any, version: int) -> dict[str, Any]:
    """Check the description of a Keras model.

    Args:
        description: its JSON.
        version: of Keras, 2 or 3.

    Returns:
        The description again, with nothing in it that was not checked. What only training needs is
        left out or neutral: weights are read from the file, so initializers are zeros; there are
        no regularizers, constraints, losses and optimizers.

    Raises:
        UnsafeError: it holds something that is not allowed.
    """
    return _Checker(version).model(description, 0)


class _Checker:
    def __init__(self, version: int) -> None:
        self.version, self.layers = version, 0

    def model(self, given: Any, depth: int) -> dict[str, Any]:
        """Check a model, by itself or in place of a layer."""
        kind = _kind(given)
        if kind not in MODELS:
            raise UnsafeError(f"is not described as a model of Keras but as {kind}")
        if depth > MAX_DEPTH:
            raise UnsafeError("holds models in models without end")
        config = _dictionary(given.get("config"), kind)
        layers = config.get("layers")
        if not isinstance(layers, list):
            raise UnsafeError(f"holds a {kind} without layers")
        settings = self.settings(kind, {k: v for k, v in config.items() if k != "layers"}, depth)
        settings["layers"] = [self.layer(each, depth + 1) for each in layers]
        functional = "keras.src.models.functional"
        if self.version == 2:
            functional = "tf_keras.src.engine.functional"
        return self.entry(given, "keras" if kind == "Sequential" else functional, settings)

    def layer(self, given: Any, depth: int) -> dict[str, Any]:
        """Check a layer."""
        self.layers += 1
        if self.layers > MAX_LAYERS or depth > MAX_DEPTH:
            raise UnsafeError(f"has more than {MAX_LAYERS} layers, or layers in layers")
        kind = _kind(given)
        if kind in MODELS:
            return self.model(given, depth)
        module = str(given.get("module") or "keras")
        parts = module.split(".")
        config = _dictionary(given.get("config"), kind)
        if parts[:-1] == ["keras", "src", "ops"] and kind in KERAS_3_OPERATIONS.get(parts[-1], {}):
            return self.entry(given, module, self.settings(kind, config, depth, parts[-1]))
        ours = parts[0] in ("keras", "tf_keras") and (len(parts) == 1 or "layers" in parts[1:3])
        if ours and kind in KERAS_2_LAYERS and self.version == 2:
            function = config.get("function")
            if function not in KERAS_2_OPERATIONS:
                raise UnsafeError(f"calls the function {_short(function)}")
            rest = {key: value for key, value in config.items() if key != "function"}
            settings = {**self.settings(kind, rest, depth), "function": function}
            return self.entry(given, "tf_keras.src.layers.core.tf_op_layer", settings)
        if not ours or kind not in LAYERS:
            raise UnsafeError(f"holds a layer {kind if module == 'keras' else f'{module}.{kind}'}")
        return self.entry(given, "keras.layers", self.settings(kind, config, depth))

    def entry(self, given: dict[str, Any], module: str, config: dict[str, Any]) -> dict[str, Any]:
        """Put a layer together again, with the module that its class has in this version."""
        made: dict[str, Any] = {"class_name": given["class_name"], "config": config}
        if "module" in given:  # the newer form
            made["module"], made["registered_name"] = module, None
        if "name" in given:
            made["name"] = _plain(given["name"])
        if "inbound_nodes" in given:
            made["inbound_nodes"] = _call(given["inbound_nodes"])
        shapes = given.get("build_config")
        if isinstance(shapes, dict) and "input_shape" in shapes:
            made["build_config"] = {"input_shape": _plain(shapes["input_shape"])}
        return made

    def settings(
        self, kind: str, given: dict[str, Any], depth: int, operations: str = ""
    ) -> dict[str, Any]:
        """Check the settings of a layer, a model or an operation."""
        if kind in MODELS:
            known = OF_MODELS
        elif operations:
            known = f"name dtype {KERAS_3_OPERATIONS[operations][kind]}"
        else:
            known = f"{OF_ALL} {LAYERS.get(kind, '')}"
        found: dict[str, Any] = {}
        for key, value in given.items():
            if key.endswith("_initializer"):
                found[key] = "zeros"
            elif value is None or key == "seed" or key.endswith(("_regularizer", "_constraint")):
                found |= {key: None} if key in known.split() else {}
            elif key not in known.split():
                raise UnsafeError(f"holds a layer {kind} with the setting {_short(key)}")
            elif key == "activation":
                found[key] = self.activation(value, depth)
            else:
                found[key] = _type(value) if key == "dtype" else _plain(value)
        return found

    def activation(self, given: Any, depth: int) -> Any:
        """Check an activation: a name, a function of Keras' own by name, or a layer."""
        if isinstance(given, dict):
            if given.get("class_name") != "function":
                return self.layer(given, depth + 1)
            given = given.get("config")
        if not isinstance(given, str) or given not in ACTIVATIONS:
            raise UnsafeError(f"names the activation {_short(given)}")
        return given


def _short(value: Any) -> str:
    return repr(value)[:80]


def _kind(given: Any) -> str:
    if not isinstance(given, dict) or not isinstance(given.get("class_name"), str):
        raise UnsafeError(f"holds {_short(given)} in place of a layer")
    if given.get("registered_name") not in (None, "", given["class_name"]):
        raise UnsafeError(f"holds a registered class, {_short(given['registered_name'])}")
    name: str = given["class_name"]
    return name[:80]


def _dictionary(given: Any, kind: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise UnsafeError(f"holds a {kind} without settings")
    return given


def _type(given: Any) -> str:
    """Check a type or a policy; both are written as their name."""
    if isinstance(given, dict) and given.get("class_name") in ("DTypePolicy", "Policy"):
        given = _dictionary(given.get("config"), "DTypePolicy").get("name")
    if not isinstance(given, str) or given not in TYPES:
        raise UnsafeError(f"names the type {_short(given)}")
    # Half precision is how it was trained: weights are float32, and TFLite computes in that.
    return "float32" if given in HALF_TYPES else given


def _plain(given: Any, depth: int = 0) -> Any:
    """Check a setting that is a number, a string, or a list of them."""
    if isinstance(given, list) and depth < MAX_DEPTH:
        return [_plain(each, depth + 1) for each in given]
    number = isinstance(given, int) and abs(given) <= MAX_NUMBER
    real = isinstance(given, float) and not math.isnan(given)
    text = isinstance(given, str) and len(given) <= MAX_STRING
    if given is None or number or real or text:
        return given
    raise UnsafeError(f"holds the setting {_short(given)}")


def _call(given: Any, depth: int = 0) -> Any:
    """Check what layers are called with: other layers by name, numbers, strings, slices."""
    if depth > MAX_DEPTH:
        raise UnsafeError("holds lists in lists without end")
    if isinstance(given, list):
        return [_call(each, depth + 1) for each in given]
    if not isinstance(given, dict):
        return _plain(given)
    if "class_name" not in given:
        return {_plain(key): _call(value, depth + 1) for key, value in given.items()}
    kind = given["class_name"]
    config = _dictionary(given.get("config"), _short(kind))
    if not isinstance(kind, str) or kind not in POINTERS:
        raise UnsafeError(f"calls a layer with an object, {_short(kind)}")
    if unknown := set(config) - set(POINTERS[kind].split()):
        raise UnsafeError(f"calls a layer with {kind} and {_short(sorted(unknown)[0])}")
    return {"class_name": kind, "config": {key: _plain(value) for key, value in config.items()}}
