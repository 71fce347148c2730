"""The part of TFLite's schema that edgecae reads and writes; :mod:`.flatbuffer` has the notation.

Names and slots follow ``schema.fbs`` of TensorFlow 2.21.
"""

from __future__ import annotations

__all__ = ["DTYPES", "IDENTIFIER", "OPERATORS", "OPTIONS", "SCHEMA"]

IDENTIFIER = b"TFL3"
"""Bytes 4 to 7 of every TFLite file."""

SCHEMA = {
    "Model": "version:u32 operator_codes:[OperatorCode] subgraphs:[SubGraph] description:str "
    "buffers:[Buffer] metadata_buffer:-[i32] metadata:[Metadata] signature_defs:[SignatureDef] "
    "external_buffer_groups:- external_buffers:-",
    "OperatorCode": "deprecated_builtin_code:i8 custom_code:-str version:i32=1 builtin_code:i32",
    "SubGraph": "tensors:[Tensor] inputs:[i32] outputs:[i32] operators:[Operator] name:str "
    "debug_metadata_index:-i32=-1",
    "Tensor": "shape:[i32] type:i8 buffer:u32 name:str quantization:QuantizationParameters "
    "is_variable:-bool sparsity:- shape_signature:[i32] has_rank:bool variant_tensors:- "
    "external_buffer:-",
    "QuantizationParameters": "min:[f32] max:[f32] scale:[f32] zero_point:[i64] details_type:- "
    "details:- quantized_dimension:i32",
    "Operator": "opcode_index:u32 inputs:[i32] outputs:[i32] options_type:u8 options:union "
    "custom_options:-[u8] custom_options_format:-i8 mutating_variable_inputs:-[bool] "
    "intermediates:-[i32] "
    "large_custom_options_offset:- large_custom_options_size:- options_2_type:- options_2:- "
    "debug_metadata_index:-i32=-1",
    "Buffer": "data:[u8] offset:- size:-",
    "Metadata": "name:str buffer:u32",
    "SignatureDef": "inputs:[TensorMap] outputs:[TensorMap] signature_key:str deprecated_tag:- "
    "subgraph_index:u32",
    "TensorMap": "name:str tensor_index:u32",
    "Conv2DOptions": "padding:i8 stride_w:i32 stride_h:i32 activation:i8 dilation_w:i32=1 "
    "dilation_h:i32=1 quantized_bias_type:-i8",
    "DepthwiseConv2DOptions": "padding:i8 stride_w:i32 stride_h:i32 depth_multiplier:i32 "
    "activation:i8 dilation_w:i32=1 dilation_h:i32=1",
    "TransposeConvOptions": "padding:i8 stride_w:i32 stride_h:i32 activation:i8 "
    "quantized_bias_type:-i8",
    "Pool2DOptions": "padding:i8 stride_w:i32 stride_h:i32 filter_w:i32 filter_h:i32 activation:i8",
    "ConcatenationOptions": "axis:i32 activation:i8",
    "AddOptions": "activation:i8 pot_scale_int16:bool=1",
    "SubOptions": "activation:i8 pot_scale_int16:bool=1",
    "MulOptions": "activation:i8",
    "MaximumMinimumOptions": "",
    "SpaceToDepthOptions": "block_size:i32",
    "DepthToSpaceOptions": "block_size:i32",
    "LeakyReluOptions": "alpha:f32",
    "ResizeBilinearOptions": "new_height:-i32 new_width:-i32 align_corners:bool "
    "half_pixel_centers:bool",
    "ResizeNearestNeighborOptions": "align_corners:bool half_pixel_centers:bool",
    "ShapeOptions": "out_type:i8",
    "StridedSliceOptions": "begin_mask:i32 end_mask:i32 ellipsis_mask:i32 new_axis_mask:i32 "
    "shrink_axis_mask:i32 offset:bool",
    "SliceOptions": "",
    "PackOptions": "values_count:i32 axis:i32",
    "QuantizeOptions": "",
    "DequantizeOptions": "",
}

OPTIONS = {
    1: "Conv2DOptions",
    2: "DepthwiseConv2DOptions",
    5: "Pool2DOptions",
    10: "ConcatenationOptions",
    11: "AddOptions",
    15: "ResizeBilinearOptions",
    19: "SpaceToDepthOptions",
    21: "MulOptions",
    28: "SubOptions",
    32: "StridedSliceOptions",
    38: "DequantizeOptions",
    39: "MaximumMinimumOptions",
    48: "SliceOptions",
    49: "TransposeConvOptions",
    55: "ShapeOptions",
    59: "PackOptions",
    74: "ResizeNearestNeighborOptions",
    75: "LeakyReluOptions",
    89: "QuantizeOptions",
    94: "DepthToSpaceOptions",
}
"""``BuiltinOptions``: table by number."""

OPERATORS = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
    RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
    SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER
    BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
    LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG
    PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE
    EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD
    REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
    REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
    SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE
    RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D
    IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
    RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE
    RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
    UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD
    STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP
    STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
    STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE
    STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE
    STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT
    STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA
    STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
    STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW
    STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
""".split()  # noqa: SIM905
"""``BuiltinOperator``: name by number."""

DTYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool",
    7: "int16", 8: "complex64", 9: "int8", 10: "float64",
}  # fmt: skip
"""``TensorType``: name by number, as numpy has it."""
