"""What operations do to places, by name. One that is in no list, and not pointwise by torch's tags, loses them."""

SAME = {
    *("native_layer_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm"),
    *("_native_batch_norm_legit_no_training", "_batch_norm_no_update", "batch_norm", "layer_norm", "group_norm"),
    *("_softmax", "_log_softmax", "_safe_softmax", "native_dropout", "_to_copy", "copy", "lift_fresh"),
    *("_fused_rms_norm", "rms_norm", "hardswish", "hardsigmoid", "hardtanh", "relu6", "silu", "mish", "gelu"),
    *("leaky_relu", "prelu", "_prelu_kernel", "elu", "softplus", "celu", "selu", "clamp", "dropout"),
    *("log_sigmoid_forward", "rrelu_with_noise"),
}
MOVED = {
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t", "expand", "unsqueeze"),
    *("squeeze", "select", "slice", "split", "split_with_sizes", "unsafe_split", "unbind", "alias", "detach", "clone"),
    *("roll", "flip", "index", "index_select", "gather", "repeat", "pixel_shuffle", "pixel_unshuffle", "unfold"),
    *("diagonal", "channel_shuffle", "contiguous", "chunk", "narrow", "movedim", "flatten", "unflatten"),
    *("split_copy", "permute_copy", "view_copy", "_unsafe_index", "rot90", "tile"),
}
JOINED = {"cat", "stack", "concatenate"}
PADDED = {"constant_pad_nd", "reflection_pad2d", "replication_pad2d", "reflection_pad1d", "replication_pad1d"}
REDUCED = {
    *("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "logsumexp", "norm", "linalg_vector_norm"),
    *("prod", "median"),
}
PRODUCTS = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1, "addbmm": 1, "linear": 0, "mv": 0}
ATTENTION = {
    *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
    *("_scaled_dot_product_attention_math", "_scaled_dot_product_attention_math_for_mps"),
    *("_scaled_dot_product_fused_attention_overrideable", "scaled_dot_product_attention"),
    *("_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
}
