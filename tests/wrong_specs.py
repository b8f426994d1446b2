"""Wrong specs: parts that do not go together, and parts that are not there."""

from conftest import linear
from wrong import Corpus, dense, images, rows

CLASSIFIER = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]

STEPPING = {"type": "StepLR", "step_size": 9}

AGREEMENT: Corpus = {
    "a loss for numbers, alone on classes": (
        images(loss={"type": "MSELoss"}, metrics=[]),
        (
            "loss.type",
            "MSELoss compares (N, 10) of the model with targets (N,) of int64",
            'use {"type": "CrossEntropyLoss"} for class numbers',
        ),
    ),
    "an autoencoder that does not say so": (
        images(loss={"type": "MSELoss"}, metrics=[], model__layers=[{"type": "Flatten"}, dense(784)]),
        (
            "loss.type",
            "MSELoss compares (N, 784) of the model with targets (N,) of int64",
            'use {"type": "CrossEntropyLoss"} for class numbers; '
            'an autoencoder, which gives back its input, needs "reconstruct": true in data',
        ),
    ),
    "a loss for class numbers on numbers": (
        linear(loss={"type": "NLLLoss"}),
        (
            "loss.type",
            "NLLLoss needs class numbers, but the data gives targets (N, 1)",
            'use {"type": "MSELoss"} for numbers',
        ),
    ),
    "a weight for other classes": (
        images(loss={"type": "CrossEntropyLoss", "weight": [1.0, 2.0]}),
        (
            "loss.type",
            "CrossEntropyLoss has 2 numbers in weight, but the model gives (N, 10)",
            "write 10 numbers, or remove weight",
        ),
    ),
    "a step that the training never reaches": (
        linear(scheduler={"type": "StepLR", "step_size": 30}),
        (
            "scheduler.step_size",
            "StepLR needs 31 epochs to do what it says, but it has 2 epochs",
            'write fewer in step_size, or "interval": "step"',
        ),
    ),
    "milestones after the end": (
        linear(scheduler={"type": "MultiStepLR", "milestones": [30, 60]}),
        (
            "scheduler.milestones",
            "MultiStepLR needs 61 epochs to do what it says, but it has 2 epochs",
            'write fewer in milestones, or "interval": "step"',
        ),
    ),
    "a cosine longer than the training": (
        linear(scheduler={"type": "CosineAnnealingLR", "T_max": 50}),
        (
            "scheduler.T_max",
            "CosineAnnealingLR needs 50 epochs to do what it says, but it has 2 epochs",
            'write fewer in T_max, or "interval": "step"',
        ),
    ),
    "a training without end": (
        linear(train={"batch_size": 4}),
        ("train", "how long the training is does not stand here", "write epochs, or steps"),
    ),
    "a training of two lengths": (
        linear(train__steps=3),
        ("train.epochs", "epochs and steps both say how long the training is", "remove one, or write null for it"),
    ),
    "a measurement after the end": (
        linear(train__evaluate_every=11),
        (
            "train.evaluate_every",
            "evaluate_every is 11, but the training has 10 steps",
            "write 10 or fewer, or remove it",
        ),
    ),
    "more gradients than an epoch has": (
        linear(train__accumulation=6),
        (
            "train.accumulation",
            "accumulation is 6, but the weights move after 5 steps at the latest: each epoch has no more",
            "write 5 or fewer",
        ),
    ),
    "more gradients than the training has": (
        linear(train={"steps": 3, "batch_size": 4, "accumulation": 4}),
        (
            "train.accumulation",
            "accumulation is 4, but the weights move after 3 steps at the latest: the training has no more",
            "write 3 or fewer",
        ),
    ),
    "a plateau of epochs that are not measured": (
        linear(data__validation=0.1, train__evaluate_every=2, scheduler={"type": "ReduceLROnPlateau", "patience": 0}),
        (
            "scheduler.interval",
            "ReduceLROnPlateau counts epochs, but the model is measured every so many steps",
            'write "interval": "evaluation"',
        ),
    ),
    "a plateau between epochs where nothing is measured": (
        linear(data__validation=0.1, scheduler={"type": "ReduceLROnPlateau", "interval": "evaluation"}),
        (
            "scheduler.interval",
            "ReduceLROnPlateau counts measurements between epochs, but there are none",
            "remove interval, or write evaluate_every in train",
        ),
    ),
    "a plateau that nothing measures": (
        linear(scheduler={"type": "ReduceLROnPlateau"}),
        (
            "scheduler.patience",
            "ReduceLROnPlateau needs 13 epochs to do what it says, but it has 2 epochs",
            "write fewer in patience",
        ),
        (
            "scheduler.type",
            "ReduceLROnPlateau needs a validation split to look at, but the data has none",
            'write "validation": 0.1 in data',
        ),
    ),
    "an early stop that never comes": (
        linear(data__validation=0.25, train__early_stopping={"patience": 1, "restore_best": False}),
        (
            "train.early_stopping",
            "early_stopping ends nothing: with a patience of 1 it needs 4 measurements, but the training has 2",
            "write a smaller patience, or train longer",
        ),
    ),
    "a plateau below the least rate": (
        linear(
            data__validation=0.25,
            train__epochs=20,
            scheduler={"type": "ReduceLROnPlateau", "min_lr": 0.01},
        ),
        ("scheduler.min_lr", "min_lr leaves nothing to reduce: the optimizer has lr 0.01", "write a smaller min_lr"),
    ),
    "a resize that keeps proportions": (
        images(
            data={"type": "ImageFolder", "root": "nowhere", "classes": ["a", "b"]}
            | {"transforms": [{"type": "Resize", "size": 64}, {"type": "ToDtype", "dtype": "float32"}]}
        ),
        (
            "data.transforms.0.size",
            "Resize to one side keeps the images' proportions, and so sizes of their own; the model needs one size",
            'write "size": [64, 64], or put {"type": "CenterCrop", "size": 64} below it',
        ),
    ),
    "an early stop by what is to rise": (
        images(data__validation=0.1, train__early_stopping={"metric": "accuracy", "mode": "min"}),
        ("train.early_stopping.mode", "accuracy is better when it is more", 'write "mode": "max"'),
    ),
    "a plateau of what is to fall": (
        linear(
            data__validation=0.25,
            train__epochs=20,
            scheduler={"type": "ReduceLROnPlateau", "metric": "mean_absolute_error", "mode": "max"},
        ),
        ("scheduler.mode", "mean_absolute_error is better when it is less", 'write "mode": "min"'),
    ),
    "shares for a loss that takes logits": (
        images(model__layers=[*CLASSIFIER, {"type": "Softmax", "dim": 1}]),
        (
            "model.layers.2.type",
            "CrossEntropyLoss takes logits, but the last layer, Softmax, makes them shares",
            "remove Softmax; the loss has it inside",
        ),
    ),
    "logits for a loss that takes logarithms": (
        images(loss={"type": "NLLLoss"}),
        (
            "model.layers.1.type",
            "NLLLoss takes logarithms of probabilities, but the last layer is Linear",
            "put LogSoftmax below it, or use CrossEntropyLoss",
        ),
    ),
    "mixed targets for a loss of class numbers": (
        images(
            data__augmentation=[{"type": "MixUp"}],
            loss={"type": "NLLLoss"},
            model__layers=[*CLASSIFIER, {"type": "LogSoftmax", "dim": 1}],
        ),
        (
            "loss.type",
            "MixUp makes targets probabilities (N, classes), which this NLLLoss does not take",
            'use {"type": "CrossEntropyLoss"} without ignore_index, or remove MixUp',
        ),
    ),
    "mixed targets, of which one class does not count": (
        images(data__augmentation=[{"type": "CutMix"}], loss={"type": "CrossEntropyLoss", "ignore_index": 3}),
        (
            "loss.type",
            "CutMix makes targets probabilities (N, classes), which this CrossEntropyLoss does not take",
            'use {"type": "CrossEntropyLoss"} without ignore_index, or remove CutMix',
        ),
    ),
    "a cycle longer than the training": (
        linear(scheduler={"type": "OneCycleLR", "max_lr": 0.1, "total_steps": 5}),
        (
            "scheduler.total_steps",
            "OneCycleLR needs 5 epochs to do what it says, but it has 2 epochs",
            'write fewer in total_steps, or "interval": "step"',
        ),
    ),
    "a freeze of what is not there": (
        linear(freeze=["backbone.*"]),
        ("freeze.0", 'the pattern "backbone.*" matches no tensor', "write one of: 0.bias, 0.weight"),
    ),
    "a wrong word for the training, beside layers that do not fit": (
        rows({"type": "Residual", "layers": [dense(3)]}, train__batch_size="all", loss={"type": "MSLoss"}),
        ("loss.type", 'no loss has the type "MSLoss"', 'did you mean "MSELoss"?'),
        ("train.batch_size", 'train.batch_size is "all"', "write a whole number"),
        (
            "model.layers.0.type",
            "Residual needs tensors whose axes agree or are 1, but its layers give (N, 3) and its input is (N, 2)",
            "make them alike: a Conv2d or Linear on one side, or another stride",
        ),
    ),
    "a wrong word in a layer, beside a scheduler that is too long": (
        rows({"type": "Linaer", "out_features": 1}, scheduler={"type": "StepLR", "step_size": 9}, train__epochs=1),
        ("model.layers.0.type", 'no layer has the type "Linaer"', 'did you mean "Linear"?'),
        (
            "scheduler.step_size",
            "StepLR needs 10 epochs to do what it says, but it has 1 epoch",
            'write fewer in step_size, or "interval": "step"',
        ),
    ),
    "a batch larger than the data, beside a scheduler that is as long as the training": (
        linear(train__epochs=20, train__drop_last=True, train__batch_size=200) | {"scheduler": STEPPING},
        ("train.batch_size", "drop_last leaves no step: 20 rows are fewer than 200", "write a smaller batch_size"),
    ),
    "a freeze that says one thing twice": (
        linear(freeze=["0.bias", "0.bias"]),
        ("freeze.1", 'the pattern "0.bias" changes nothing beside the others', "remove it"),
    ),
    "a freeze of everything": (
        linear(freeze=["*"]),
        ("freeze", "every tensor is frozen, so nothing is trained", 'let one go: add "!0.bias"'),
    ),
    "a decay of matrices where only a bias has one": (
        linear(
            optimizer={
                "type": "SGD",
                "groups": [{"match": "0.bias", "weight_decay": 0.1}],
                "decay": "matrices",
            }
        ),
        (
            "optimizer.decay",
            'decay is "matrices", but no matrix is trained with a weight_decay',
            "write a weight_decay of 0, and remove decay",
        ),
    ),
    "a decay of matrices where the bias is frozen": (
        linear(optimizer={"type": "AdamW", "decay": "matrices"}) | {"freeze": ["0.bias"]},
        (
            "optimizer.decay",
            'decay is "matrices", but no bias or norm is trained with a weight_decay',
            'write "decay": "all"',
        ),
    ),
    "a group of what is not there": (
        linear(optimizer={"type": "SGD", "groups": [{"match": "fc.*", "lr": 0.1}]}),
        (
            "optimizer.groups.0.match",
            'the pattern "fc.*" matches no tensor that is trained',
            "write one of: 0.bias, 0.weight",
        ),
    ),
    "a group of what is frozen": (
        rows(
            dense(3, id="a"),
            dense(1, id="b"),
            freeze=["a.*"],
            optimizer={"type": "SGD", "groups": [{"match": "a.*", "lr": 0.1}]},
        ),
        (
            "optimizer.groups.0.match",
            'the pattern "a.*" matches no tensor that is trained',
            "write one of: b.bias, b.weight",
        ),
    ),
    "a group that says nothing": (
        linear(optimizer={"type": "SGD", "groups": [{"match": "0.*"}]}),
        (
            "optimizer.groups.0",
            "a group without options of its own says nothing",
            "write one, such as lr, or remove the group",
        ),
    ),
    "a group whose tensors another one takes": (
        linear(optimizer={"type": "SGD", "groups": [{"match": "*", "lr": 0.1}, {"match": "0.bias", "lr": 0.2}]}),
        (
            "optimizer.groups.1.match",
            "the groups above take every tensor that this one matches",
            "put the group with fewer tensors first",
        ),
    ),
    "an initializer of what is not there": (
        linear(init=[{"type": "zeros_", "match": "fc.*"}]),
        ("init.0.match", 'the pattern "fc.*" matches no tensor', "write one of: 0.bias, 0.weight"),
    ),
    "one initializer, of what is not there": (
        linear(init={"type": "zeros_", "match": "fc.*"}),
        ("init.match", 'the pattern "fc.*" matches no tensor', "write one of: 0.bias, 0.weight"),
    ),
    "a warm start of what is not there": (
        linear(init={"from": "weights.pt", "match": ["0.weight", "0.running_mean", "!fc.*"]}),
        ("init.match.2", 'the pattern "!fc.*" matches no tensor', "write one of: 0.bias, 0.weight"),
    ),
    "an initializer that a bias has too few axes for": (
        linear(init=[{"type": "kaiming_normal_", "match": "*"}]),
        (
            "init.0.match",
            "kaiming_normal_ needs tensors of 2 or more axes, but 0.bias has (1,)",
            'leave it out: add "!0.bias" to match',
        ),
    ),
    "an initializer that a later one undoes": (
        linear(init=[{"type": "zeros_", "match": "*"}, {"type": "ones_", "match": "*"}]),
        ("init.0.match", "later initializers fill all that zeros_ fills", "remove it, or put it below them"),
    ),
    "other last bits in a precision that has no ways to them": (
        linear(train__exact=False, train__precision="bf16"),
        ("train.exact", "exact false goes without precision, accumulation and compile", "remove them, or exact"),
    ),
    "no step, because the last one is dropped": (
        linear(train__batch_size=64, train__drop_last=True),
        ("train.batch_size", "drop_last leaves no step: 20 rows are fewer than 64", "write a smaller batch_size"),
    ),
}


PARTS: Corpus = {
    "a known model that is not there": (
        images(model={"type": "torchvision", "name": "resnet51", "classes": "classes"}),
        ("model.name", 'torchvision has no model "resnet51"', 'did you mean "resnet50"?'),
    ),
    "weights of a file": (
        images(model={"type": "torchvision", "name": "resnet50", "weights": "mine/resnet.pth", "classes": "classes"}),
        (
            "model.weights",
            'resnet50 has no weights "mine/resnet.pth"',
            "write one of: IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT; "
            'a file of your own goes into "init": {"from": "FILE"}',
        ),
    ),
    "weights that are not there": (
        images(model={"type": "torchvision", "name": "resnet50", "weights": "IMAGENET1K_V9", "classes": "classes"}),
        (
            "model.weights",
            'resnet50 has no weights "IMAGENET1K_V9"',
            "write one of: IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT",
        ),
    ),
    "gray images into a known model": (
        images(model={"type": "torchvision", "name": "resnet18", "classes": "classes"}),
        (
            "model.type",
            "resnet18 needs images (N, 3, height, width), but the data gives (N, 1, 28, 28)",
            'write {"type": "Grayscale", "num_output_channels": 3} in data.transforms',
        ),
    ),
    "a known model without a name": (
        images(model={"type": "torchvision"}),
        (
            "model",
            'torchvision needs "name"',
            'write "name": … (Name of the model, as torchvision.models.list_models() gives it)',
        ),
    ),
    "layers beside a known model": (
        images(model={"type": "torchvision", "name": "resnet18", "layers": []}),
        ("model.layers", 'torchvision has no option "layers"', "write one of: classes, name, type, weights"),
    ),
    "data of no such type": (
        linear(data={"type": "MNSIT"}),
        ("data.type", 'no data has the type "MNSIT"', 'did you mean "MNIST"?'),
    ),
    "data without a type": (
        linear(data={}),
        (
            "data",
            "data has no type",
            'write "type": one of ArrayFile, CIFAR10, CIFAR100, EMNIST, FakeImages, FashionMNIST, '
            "ImageFolder, KMNIST, LinearFunction, MNIST, SVHN, TableFile, …",
        ),
    ),
    "data that is a list": (linear(data=[]), ("data", "data is []", "write an object")),
    "a validation split above one": (
        linear(data__validation=1.5),
        ("data.validation", "data.validation is 1.5", "write a number below 1"),
    ),
    "a table that is not there": (
        linear(data={"type": "TableFile", "file": "/absent.csv", "target": "y"}),
        ("data.file", "no such file: /absent.csv", "set data.file to a CSV or Parquet file"),
    ),
    "a random transform among those that are the same for all": (
        images(data__transforms=[{"type": "RandomHorizontalFlip"}]),
        (
            "data.transforms.0",
            "RandomHorizontalFlip is random, but transforms are the same for every split",
            "put it into augmentation",
        ),
    ),
    "a transform of torchvision's first version": (
        images(data__transforms=[{"type": "ToTensor"}]),
        (
            "data.transforms.0.type",
            'no transform has the type "ToTensor"',
            'did you mean "ToDtype"?',
        ),
    ),
    "a beta of one": (
        linear(optimizer={"type": "Adam", "betas": [0.9, 1.0]}),
        ("optimizer.betas.1", "optimizer.betas.1 is 1.0", "write a number below 1"),
    ),
    "one beta of two": (
        linear(optimizer={"type": "Adam", "betas": [0.9]}),
        ("optimizer.betas", "optimizer.betas is [0.9]", "write a list of 2"),
    ),
    "a space behind a name": (
        linear(optimizer={"type": "AdamW ", "lr": 1}),
        ("optimizer.type", 'no optimizer has the type "AdamW "', 'did you mean "AdamW"?'),
    ),
    "one metric without a list": (
        linear(metrics={"type": "Accuracy"}),
        ("metrics", 'metrics is {"type": "Accuracy"}', "write a list"),
    ),
    "an id that begins with a digit": (
        rows(dense(1, id="1st")),
        (
            "model.layers.0.id",
            'model.layers.0.id is "1st"',
            "write a string that matches ^[A-Za-z][A-Za-z0-9_]*$ (Name in the state dict and in "
            "messages; without it, the layer's position counted from 0)",
        ),
    ),
    "the id of the input": (
        rows(dense(1, id="input")),
        (
            "model.layers.0.id",
            'the id "input" is a name that torch keeps for itself',
            'write another, such as "input_layer"',
        ),
    ),
    "a list of specs to extend": ({**linear(), "extends": []}, ("extends", "extends is []", "write a string")),
}
