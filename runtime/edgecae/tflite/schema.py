"""What of TFLite's schema is in edgecae's files; see :mod:`.flatbuffer` for the notation.

Names and slots follow ``schema.fbs`` of TensorFlow 2.21.
"""

from __future__ import annotations

__all__ = ["OPTIONS", "SCHEMA"]

SCHEMA = {
    "Model": "version:u32 operator_codes:[OperatorCode] subgraphs:[SubGraph] description:str "
    "buffers:[Buffer] metadata_buffer:- metadata:[Metadata] signature_defs:[SignatureDef] "
    "external_buffer_groups:- external_buffers:-",
    "OperatorCode": "deprecated_builtin_code:i8 custom_code:- version:i32=1 builtin_code:i32",
    "SubGraph": "tensors:[Tensor] inputs:[i32] outputs:[i32] operators:[Operator] name:str "
    "debug_metadata_index:-",
    "Tensor": "shape:[i32] type:i8 buffer:u32 name:str quantization:QuantizationParameters "
    "is_variable:- sparsity:- shape_signature:[i32] has_rank:bool variant_tensors:- "
    "external_buffer:-",
    "QuantizationParameters": "min:[f32] max:[f32] scale:[f32] zero_point:[i64] details_type:- "
    "details:- quantized_dimension:i32",
    "Operator": "opcode_index:u32 inputs:[i32] outputs:[i32] options_type:u8 options:union "
    "custom_options:- custom_options_format:- mutating_variable_inputs:- intermediates:- "
    "large_custom_options_offset:- large_custom_options_size:- options_2_type:- options_2:- "
    "debug_metadata_index:-",
    "Buffer": "data:[u8] offset:- size:-",
    "Metadata": "name:str buffer:u32",
    "SignatureDef": "inputs:[TensorMap] outputs:[TensorMap] signature_key:str deprecated_tag:- "
    "subgraph_index:u32",
    "TensorMap": "name:str tensor_index:u32",
    "Conv2DOptions": "padding:i8 stride_w:i32 stride_h:i32 activation:i8 dilation_w:i32=1 "
    "dilation_h:i32=1 quantized_bias_type:-",
    "DepthwiseConv2DOptions": "padding:i8 stride_w:i32 stride_h:i32 depth_multiplier:i32 "
    "activation:i8 dilation_w:i32=1 dilation_h:i32=1",
    "TransposeConvOptions": "padding:i8 stride_w:i32 stride_h:i32 activation:i8 "
    "quantized_bias_type:-",
    "Pool2DOptions": "padding:i8 stride_w:i32 stride_h:i32 filter_w:i32 filter_h:i32 activation:i8",
    "ConcatenationOptions": "axis:i32 activation:i8",
    "AddOptions": "activation:i8 pot_scale_int16:bool=1",
    "SubOptions": "activation:i8 pot_scale_int16:bool=1",
    "MulOptions": "activation:i8",
    "MaximumMinimumOptions": "",
    "SpaceToDepthOptions": "block_size:i32",
    "DepthToSpaceOptions": "block_size:i32",
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
    89: "QuantizeOptions",
    94: "DepthToSpaceOptions",
}
"""``BuiltinOptions``: table by number."""
