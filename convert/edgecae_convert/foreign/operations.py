"""What a SavedModel may be made of: an allowlist of TensorFlow operations.

To allow another operation, add its name. It must compute its outputs from its inputs and do nothing
else: no files, no network, no Python, no printing, no state that outlives the network.
"""

from __future__ import annotations

__all__ = ["OPERATIONS", "SAVER"]

OPERATIONS = frozenset(
    """
    Abs Add AddN AddV2 BiasAdd BiasAddV1 Ceil ClipByValue Cos Div DivNoNan Erf Exp Expm1 Floor
    FloorDiv FloorMod Inv L2Loss Log Log1p Maximum Minimum Mod Mul MulNoNan Neg Pow RealDiv
    Reciprocal Rint Round Rsqrt Sign Sin Sqrt Square SquaredDifference Sub

    Elu LeakyRelu LogSoftmax Relu Relu6 Selu Sigmoid Softmax Softplus Softsign Tanh

    AvgPool BatchMatMul BatchMatMulV2 Conv2D Conv2DBackpropInput DepthwiseConv2dNative
    DepthwiseConv2dNativeBackpropInput Einsum FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 LRN MatMul
    MaxPool MaxPoolV2

    All Any ArgMax ArgMin Max Mean Min Prod Sum

    BatchToSpace BatchToSpaceND BroadcastArgs BroadcastTo Cast Concat ConcatV2 Const DepthToSpace
    ExpandDims Fill Gather GatherNd GatherV2 Identity IdentityN MirrorPad OnesLike Pack Pad PadV2
    PreventGradient Range Rank Reshape ResizeBicubic ResizeBilinear ResizeNearestNeighbor Reverse
    ReverseV2 Shape ShapeN Size Slice Snapshot SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV
    Squeeze StopGradient StridedSlice Tile Transpose Unpack ZerosLike

    Assert Equal Greater GreaterEqual Less LessEqual LogicalAnd LogicalNot LogicalOr NotEqual Select
    SelectV2

    If Merge NoOp PartitionedCall Placeholder PlaceholderWithDefault StatefulPartitionedCall
    StatelessIf StatelessWhile Switch While

    RandomStandardNormal RandomUniform StatelessRandomGetAlg StatelessRandomGetKeyCounter
    StatelessRandomNormalV2 StatelessRandomUniformV2 TruncatedNormal

    Assign AssignAdd AssignAddVariableOp AssignSub AssignSubVariableOp AssignVariableOp
    DisableCopyOnRead IsVariableInitialized ReadVariableOp VarHandleOp VarIsInitializedOp Variable
    VariableV2
    """.split()  # noqa: SIM905
)

SAVER = frozenset(
    """MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch
    StringJoin""".split()  # noqa: SIM905
)
"""What every file with variables holds to save and restore them. It is allowed where only the saver
leads there, and left out of what is loaded: the checkpoint is read without it."""
