"""Wrong models: composition, templates, and shapes that do not fit."""

from wrong import TAIL, Corpus, blocks, conv, dense, pictures, rows

COMPOSITION: Corpus = {
    "sizes that do not follow, a sum behind them, and the training": (
        rows(
            {"type": "Repeat", "times": 2, "layers": [dense(3, in_features=5)]},
            dense(4),
            {"type": "LayerNorm", "normalized_shape": [7]},
            {"type": "Residual", "layers": [dense(2)]},
            train__epochs=1,
            scheduler={"type": "StepLR", "step_size": 3},
        ),
        (
            "model.layers.0.layers.0.in_features",
            "Linear expects 5 features, but the data gives (N, 2)",
            "remove in_features (it follows from the layer above), or write 2",
        ),
        (
            "model.layers.2.normalized_shape",
            "LayerNorm needs rows that end in [7], but Linear above gives (N, 4)",
            "write the last axes, such as [4], or remove normalized_shape",
        ),
        (
            "model.layers.3.type",
            "Residual needs tensors whose axes agree or are 1, but its layers give (N, 2) and its input is (N, 4)",
            "make them alike: a Conv2d or Linear on one side, or another stride",
        ),
        (
            "scheduler.step_size",
            "StepLR needs 4 epochs to do what it says, but it has 1 epoch",
            'write fewer in step_size, or "interval": "step"',
        ),
    ),
    "an input that is not there": (
        rows(dense(3, id="stem"), dense(1, **{"from": "stm"})),
        ("model.layers.1.from", 'no layer before this one has the id "stm"', 'did you mean "stem"?'),
    ),
    "an input inside another layer": (
        rows({"type": "Residual", "layers": [dense(2, id="inside")]}, dense(1, **{"from": "inside"})),
        (
            "model.layers.1.from",
            'the layer "inside" stands inside another one, which alone can name it',
            "give that one an id, and name it",
        ),
    ),
    "an input that stands below": (
        rows(dense(1, **{"from": "later"}), dense(1, id="later")),
        ("model.layers.0.from", 'the layer "later" stands below this one', "name one above, or write one of: input"),
    ),
    "an output that nothing uses": (
        rows(dense(3, id="a"), dense(1, **{"from": "input"})),
        (
            "model.layers.0.type",
            "nothing uses the output of a",
            'remove the layer, or name its id in another layer\'s "from"',
        ),
    ),
    "the output of a composite that nothing uses": (
        rows(
            dense(2, id="a"),
            {"type": "Parallel", "branches": [[dense(2, **{"from": "input"})], []], "join": "add"},
            dense(1, **{"from": "input"}),
        ),
        (
            "model.layers.1.type",
            "nothing uses the output of Parallel",
            'remove the layer, or name its id in another layer\'s "from"',
        ),
    ),
    "in place over what another layer reads": (
        rows(dense(2, id="a"), {"type": "ReLU", "inplace": True}, {"type": "Add", "from": ["a"]}, dense(1)),
        ("model.layers.1.inplace", "ReLU overwrites its input, which Add reads too", "remove inplace"),
    ),
    "in place over the rows of the data": (
        rows({"type": "Residual", "layers": [{"type": "ReLU", "inplace": True}, dense(2)]}, dense(1)),
        ("model.layers.0.layers.0.inplace", "ReLU overwrites the model's input, which is the data's", "remove inplace"),
    ),
    "in place over what a gradient needs": (
        rows(dense(2), {"type": "Tanh"}, {"type": "ReLU", "inplace": True}, dense(1)),
        ("model.layers.2.inplace", "ReLU overwrites the output of Tanh, which its gradient needs", "remove inplace"),
    ),
    "a sum of two widths": (
        rows(dense(3, id="a"), dense(2), {"type": "Add", "from": ["a"]}, dense(1)),
        (
            "model.layers.2.type",
            "Add needs tensors whose axes agree or are 1, but Linear above gives (N, 2) and a gives (N, 3)",
            "make them alike: a Conv2d or Linear on one side, or another stride",
        ),
    ),
    "a sum of images and rows": (
        pictures(conv(4, id="c"), {"type": "Flatten"}, {"type": "Add", "from": ["c"]}, dense("classes")),
        (
            "model.layers.2.type",
            "Add needs tensors of one rank and dtype, but Flatten above gives (N, 2704) and c gives (N, 4, 26, 26)",
            "make them alike: a Conv2d or Linear on one side, or another stride",
        ),
    ),
    "a sum of one": (
        rows({"type": "Add"}, dense(1)),
        ("model.layers.0.type", "Add needs something to join with, but the data gives (N, 2)", 'write "from": ["ID"]'),
    ),
    "a Concat along the batch": (
        rows(dense(3, id="a"), dense(2), {"type": "Concat", "from": ["a"], "dim": 0}, dense(1)),
        (
            "model.layers.2.dim",
            "Concat needs dim 0 to be an axis after the batch, but Linear above gives (N, 2) and a gives (N, 3)",
            "write another dim",
        ),
    ),
    "a Concat of two sizes of images": (
        pictures(conv(4, id="c"), conv(4), {"type": "Concat", "from": ["c"]}, *TAIL),
        (
            "model.layers.2.type",
            "Concat needs tensors that differ in axis 1 alone, "
            "but Conv2d above gives (N, 4, 24, 24) and c gives (N, 4, 26, 26)",
            "make the other axes alike, or write another dim",
        ),
    ),
    "a Concat along an axis that is not there": (
        rows(dense(3, id="a"), dense(2), {"type": "Concat", "from": ["a"], "dim": 2}, dense(1)),
        (
            "model.layers.2.dim",
            "Concat needs dim 2 to be an axis after the batch, but Linear above gives (N, 2) and a gives (N, 3)",
            "write another dim",
        ),
    ),
    "a Residual whose layers do not fit its input": (
        rows({"type": "Residual", "layers": [dense(3)]}, dense(1)),
        (
            "model.layers.0.type",
            "Residual needs tensors whose axes agree or are 1, but its layers give (N, 3) and its input is (N, 2)",
            "make them alike: a Conv2d or Linear on one side, or another stride",
        ),
    ),
    "a Residual whose layers do not fit its shortcut": (
        pictures({"type": "Residual", "layers": [conv(8, padding=1, stride=2)], "shortcut": [conv(8, 1)]}, *TAIL),
        (
            "model.layers.0.type",
            "Residual needs tensors whose axes agree or are 1, "
            "but its layers give (N, 8, 14, 14) and its shortcut gives (N, 8, 28, 28)",
            "make them alike: a Conv2d or Linear on one side, or another stride",
        ),
    ),
    "a Residual without layers": (
        rows({"type": "Residual", "layers": []}, dense(1)),
        ("model.layers.0.layers", "model.layers.0.layers is []", "write a list of 1 or more"),
    ),
    "a Repeat of no times": (
        rows({"type": "Repeat", "times": 0, "layers": [dense(2)]}, dense(1)),
        ("model.layers.0.times", "model.layers.0.times is 0", "write a number 1 or more"),
    ),
    "Repeats that stand for a hundred million layers": (
        rows(
            {"type": "Repeat", "times": 10000, "layers": [{"type": "Repeat", "times": 10000, "layers": [dense(2)]}]},
            dense(1),
        ),
        ("model.layers.0.layers.0.layers.0.type", "the model has more than 10,000 layers", "repeat fewer times"),
    ),
    "a Repeat whose third time does not fit": (
        pictures({"type": "Repeat", "times": 4, "layers": [conv(4, 5, stride=3)]}, *TAIL),
        (
            "model.layers.0.layers.0.kernel_size",
            "Conv2d needs axis 2 to be 5 or longer, but Conv2d above gives (N, 4, 2, 2)",
            "write a smaller one, more padding, or fewer layers above that shrink it",
        ),
    ),
    "a Parallel of one branch": (
        rows({"type": "Parallel", "branches": [[dense(1)]]}, dense(1)),
        (
            "model.layers.0.branches",
            'model.layers.0.branches is [[{"type": "Linear", "out_features": 1}]]',
            "write a list of 2 or more",
        ),
    ),
    "an axis that a sum does not have": (
        rows({"type": "Parallel", "branches": [[dense(1)], [dense(1)]], "join": "add", "dim": 1}, dense(1)),
        ("model.layers.0.dim", 'dim says nothing with the join "add"', 'remove dim, or write "join": "concat"'),
    ),
    "a join of another name": (
        rows({"type": "Parallel", "branches": [[dense(1)], [dense(1)]], "join": "cat"}, dense(1)),
        ("model.layers.0.join", 'model.layers.0.join is "cat"', 'did you mean "concat"?'),
    ),
    "a tie of two sizes": (
        rows(dense(3, id="a"), dense(2, tie="a"), dense(1)),
        (
            "model.layers.1.tie",
            "a has a weight of [3, 2], but Linear needs one of [2, 3]",
            "name a layer that has one of these sizes, or remove tie",
        ),
    ),
    "a tie to a layer without a weight": (
        rows(dense(2), {"type": "ReLU", "id": "a"}, dense(1, tie="a")),
        (
            "model.layers.2.tie",
            "a has no weight, but Linear needs one of [1, 2]",
            "name a layer that has one of these sizes, or remove tie",
        ),
    ),
    "a tie to what is not there": (
        rows(dense(2), dense(1, tie="tokens")),
        ("model.layers.1.tie", 'no layer before this one has the id "tokens"', "write one of: input"),
    ),
    "a tie to the data": (
        rows(dense(2), dense(1, tie="input")),
        (
            "model.layers.1.tie",
            "input has no weight, but Linear needs one of [1, 2]",
            "name a layer that has one of these sizes, or remove tie",
        ),
    ),
}


TEMPLATES: Corpus = {
    "a Block where no template is": (
        rows({"type": "Block", "name": "basic"}, dense(1)),
        ("model.layers.0.name", 'there is no template "basic"', 'write "blocks": {"basic": {"layers": […]}}'),
    ),
    "a template that is not there": (
        blocks(
            {"basic": {"layers": [dense("$width")]}},
            {"type": "Block", "name": "basci", "width": 2},
            {"type": "Block", "name": "basic", "width": 2},
            dense(1),
        ),
        ("model.layers.0.name", 'there is no template "basci"', 'did you mean "basic"?'),
    ),
    "a parameter that the template does not have": (
        blocks({"basic": {"layers": [dense("$width")]}}, {"type": "Block", "name": "basic", "widht": 2}, dense(1)),
        ("model.layers.0.widht", 'the template "basic" has no "$widht"', 'did you mean "width"?'),
        ("model.layers.0", 'the Block "basic" needs "width"', 'write "width": …, or a default in the template'),
    ),
    "a parameter that is not given": (
        blocks({"basic": {"layers": [dense("$width")]}}, {"type": "Block", "name": "basic"}, dense(1)),
        ("model.layers.0", 'the Block "basic" needs "width"', 'write "width": …, or a default in the template'),
    ),
    "a parameter of a wrong type": (
        blocks({"basic": {"layers": [dense("$width")]}}, {"type": "Block", "name": "basic", "width": "wide"}, dense(1)),
        (
            "model.layers.0.layers.0.out_features",
            'model.layers.0.layers.0.out_features is "wide"',
            'write a whole number or "classes", "vocabulary" or "context"',
        ),
    ),
    "a template that holds itself": (
        blocks(
            {"basic": {"layers": [{"type": "Block", "name": "basic"}]}}, {"type": "Block", "name": "basic"}, dense(1)
        ),
        ("model.layers.0.layers.0.name", 'the template "basic" holds itself', "take this Block out of it"),
    ),
    "a template that nobody uses": (
        blocks({"basic": {"layers": [dense(2)]}}, dense(1)),
        ("blocks.basic", 'no Block uses the template "basic"', "remove it"),
    ),
    "a template without layers": (
        blocks({"basic": {}}, {"type": "Block", "name": "basic"}, dense(1)),
        ("blocks.basic", 'the template "basic" has no layers', 'write {"layers": […]}'),
    ),
    "a template of no layers": (
        blocks({"basic": {"layers": []}}, {"type": "Block", "name": "basic"}, dense(1)),
        ("model.layers.0.layers", "model.layers.0.layers is []", "write a list of 1 or more"),
    ),
    "a default of no parameter": (
        blocks(
            {"basic": {"layers": [dense(2)], "defaults": {"width": 3}}}, {"type": "Block", "name": "basic"}, dense(1)
        ),
        ("blocks.basic.defaults.width", 'the template has no "$width"', 'write "$width" in the template, or remove it'),
    ),
    "an option that a template does not have": (
        blocks({"basic": {"layers": [dense(2)], "default": {}}}, {"type": "Block", "name": "basic"}, dense(1)),
        ("blocks.basic.default", 'a template has no option "default"', 'did you mean "defaults"?'),
    ),
    "defaults that are no object": (
        blocks(
            {"basic": {"layers": [dense("$a")], "defaults": []}}, {"type": "Block", "name": "basic", "a": 1}, dense(1)
        ),
        ("blocks.basic.defaults", "defaults is no object", 'write {"PARAMETER": value}'),
    ),
    "templates that are no object": (
        {**rows(dense(1)), "blocks": []},
        ("blocks", "blocks is no object", 'write {"NAME": {"layers": […]}}'),
    ),
    "a template whose layer does not fit": (
        blocks(
            {"basic": {"layers": [{"type": "Conv2d", "out_channels": 4, "kernel_size": 3}]}},
            {"type": "Block", "name": "basic"},
            dense(1),
        ),
        (
            "model.layers.0.layers.0.type",
            "Conv2d needs images (N, C, H, W), but the data gives (N, 2)",
            "bring the rows to 3 axes first, for instance with an Unflatten or a Flatten above it",
        ),
    ),
    "a parameter outside of a template": (
        rows(dense("$width")),
        (
            "model.layers.0.out_features",
            'model.layers.0.out_features is "$width"',
            'write a whole number or "classes", "vocabulary" or "context"',
        ),
    ),
}


SHAPES: Corpus = {
    "a kernel larger than the image": (
        pictures(conv(4, 30), *TAIL),
        (
            "model.layers.0.kernel_size",
            "Conv2d needs axis 2 to be 30 or longer, but the data gives (N, 1, 28, 28)",
            "write a smaller one, more padding, or fewer layers above that shrink it",
        ),
    ),
    "groups that do not divide the channels": (
        pictures(conv(4, 3, groups=3), *TAIL),
        (
            "model.layers.0.groups",
            "Conv2d needs in_channels (1) to be a multiple of groups (3), but the data gives (N, 1, 28, 28)",
            "write groups that divide 1",
        ),
    ),
    "channels that do not follow": (
        pictures(conv(4, 3, in_channels=3), *TAIL),
        (
            "model.layers.0.in_channels",
            "Conv2d expects 3 channels, but the data gives (N, 1, 28, 28)",
            "remove in_channels (it follows from the layer above), or write 1",
        ),
    ),
    "a convolution of sequences over images": (
        pictures({"type": "Conv1d", "out_channels": 2, "kernel_size": 3}, *TAIL),
        (
            "model.layers.0.type",
            "Conv1d needs sequences (N, C, L), but the data gives (N, 1, 28, 28)",
            "write Conv2d, which takes images (N, C, H, W)",
        ),
    ),
    "a convolution of rows": (
        pictures({"type": "Flatten"}, conv(4), *TAIL),
        (
            "model.layers.1.type",
            "Conv2d needs images (N, C, H, W), but Flatten above gives (N, 784)",
            "bring the rows to 3 axes first, for instance with an Unflatten or a Flatten above it",
        ),
    ),
    "a kernel of three sizes": (
        pictures(conv(4, [3, 3, 3]), *TAIL),
        (
            "model.layers.0.kernel_size",
            "model.layers.0.kernel_size is [3, 3, 3]",
            "write a whole number or a list of 2 or fewer",
        ),
    ),
    "padding that a stride makes meaningless": (
        pictures(conv(4, 3, padding="same", stride=2), *TAIL),
        ("model.layers.0.padding", 'padding "same" has no meaning with a stride', "write the padding as a number"),
    ),
    "padding that is more than half of the kernel": (
        pictures({"type": "MaxPool2d", "kernel_size": 2, "padding": 2}, *TAIL),
        (
            "model.layers.0.padding",
            "padding must be at most half of kernel_size",
            "write a smaller one, or a padding layer above",
        ),
    ),
    "a window larger than the image": (
        pictures({"type": "MaxPool2d", "kernel_size": 32}, *TAIL),
        (
            "model.layers.0.kernel_size",
            "MaxPool2d needs axis 2 to be 32 or longer, but the data gives (N, 1, 28, 28)",
            "write a smaller one, more padding, or fewer layers above that shrink it",
        ),
    ),
    "a window of nothing": (
        pictures({"type": "MaxPool2d", "kernel_size": 0}, *TAIL),
        ("model.layers.0.kernel_size", "model.layers.0.kernel_size is 0", "write a number 1 or more or a list"),
    ),
    "an output of three sizes": (
        pictures({"type": "AdaptiveAvgPool2d", "output_size": [1, 1, 1]}, *TAIL),
        (
            "model.layers.0.output_size",
            "model.layers.0.output_size is [1, 1, 1]",
            "write a whole number or a list of 2 or fewer",
        ),
    ),
    "groups of channels that do not divide them": (
        pictures(conv(6), {"type": "GroupNorm", "num_groups": 4}, *TAIL),
        (
            "model.layers.1.num_groups",
            "GroupNorm needs num_groups to divide the 6 channels, but Conv2d above gives (N, 6, 26, 26)",
            "write 3",
        ),
    ),
    "a normalization of images over rows": (
        rows({"type": "BatchNorm2d"}, dense(1)),
        (
            "model.layers.0.type",
            "BatchNorm2d needs images (N, C, H, W), but the data gives (N, 2)",
            "write BatchNorm1d",
        ),
    ),
    "one number where a list is wanted": (
        rows({"type": "LayerNorm", "normalized_shape": 3}, dense(1)),
        ("model.layers.0.normalized_shape", "model.layers.0.normalized_shape is 3", "write a list"),
    ),
    "several tensors where one is wanted": (
        pictures({"type": "Squeeze", "dim": 1}, {"type": "LSTM", "hidden_size": 8}, dense("classes")),
        (
            "model.layers.2.type",
            "Linear needs one tensor, but LSTM above gives [(N, 28, 8), [(1, N, 8), (1, N, 8)]]",
            'choose one: {"type": "Select", "index": 0} above it',
        ),
    ),
    "several tensors at the end": (
        pictures({"type": "Squeeze", "dim": 1}, {"type": "LSTM", "hidden_size": 8}),
        (
            "model.layers.1.type",
            "the model must give one tensor of rows, but LSTM gives [(N, 28, 8), [(1, N, 8), (1, N, 8)]]",
            'put {"type": "Select", "index": 0} below it',
        ),
    ),
    "rows into an LSTM": (
        rows({"type": "LSTM", "hidden_size": 8}, dense(1)),
        (
            "model.layers.0.type",
            "LSTM needs sequences (N, length, features), but the data gives (N, 2)",
            "bring the rows into that form above it",
        ),
    ),
    "heads that do not divide the features": (
        pictures({"type": "Squeeze", "dim": 1}, {"type": "MultiheadAttention", "num_heads": 3}, *TAIL),
        (
            "model.layers.1.num_heads",
            "MultiheadAttention needs num_heads to divide the 28 features, but Squeeze above gives (N, 28, 28)",
            "write 2",
        ),
    ),
    "heads that do not divide, far from a divisor": (
        pictures({"type": "Squeeze", "dim": 1}, {"type": "CausalSelfAttention", "num_heads": 5}, *TAIL),
        (
            "model.layers.1.num_heads",
            "CausalSelfAttention needs num_heads to divide the 28 features, but Squeeze above gives (N, 28, 28)",
            "write 4",
        ),
    ),
    "numbers for tokens": (
        rows({"type": "Embedding", "num_embeddings": 10, "embedding_dim": 4}, dense(1)),
        (
            "model.layers.0.type",
            "Embedding needs tokens, whole numbers of int64, but the data gives (N, 2)",
            "use data that gives tokens",
        ),
    ),
    "a Reshape to another count": (
        pictures({"type": "Reshape", "shape": [5, 5]}, *TAIL),
        (
            "model.layers.0.shape",
            "Reshape needs shape to hold 784 numbers, but the data gives (N, 1, 28, 28)",
            "write sizes whose product is that, or one as -1",
        ),
    ),
    "an Unflatten to another count": (
        pictures({"type": "Flatten"}, {"type": "Unflatten", "dim": 1, "unflattened_size": [5, 5]}, *TAIL),
        (
            "model.layers.1.unflattened_size",
            "Unflatten needs unflattened_size to hold 784 numbers, but Flatten above gives (N, 784)",
            "write sizes whose product is that, or one as -1",
        ),
    ),
    "a Permute of too few axes": (
        pictures({"type": "Permute", "dims": [0, 2, 1]}, *TAIL),
        (
            "model.layers.0.dims",
            "Permute needs dims to name each of the 4 axes once, but the data gives (N, 1, 28, 28)",
            "write the numbers from 0 to 3 in the order you want",
        ),
    ),
    "a Permute that moves the batch": (
        pictures({"type": "Permute", "dims": [1, 0, 2, 3]}, *TAIL),
        (
            "model.layers.1.type",
            "Flatten needs the batch on its first axis, but Permute above gives (1, N, 28, 28)",
            'bring it there: {"type": "Index"} or "Permute"',
        ),
    ),
    "channels that cannot become pixels": (
        pictures(conv(5, 3), {"type": "PixelShuffle", "upscale_factor": 2}, *TAIL),
        (
            "model.layers.1.upscale_factor",
            "PixelShuffle needs the channels (5) to be a multiple of upscale_factor² (4), "
            "but Conv2d above gives (N, 5, 26, 26)",
            "write another factor, or other channels above",
        ),
    ),
    "a Softmax along an axis that is not there": (
        rows({"type": "Softmax", "dim": 3}, dense(1)),
        (
            "model.layers.0.dim",
            "Softmax needs dim 3 to be an axis after the batch, but the data gives (N, 2)",
            "write an axis from 1 to 1, or from -1 to -1",
        ),
    ),
    "a size that the data does not know": (
        rows(dense("vocabulary")),
        ("model.layers.0.out_features", 'the data has no "vocabulary"', "write a number, or use data that has them"),
    ),
}
