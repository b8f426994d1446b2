"""The clean room: load one runtime's file by its path, run a model on arrays, write what comes out.

Usage: python -I _process.py RUNTIME.py MODEL QUESTIONS.npz ANSWERS.npz OPTIONS LIMITS
"""

import importlib.util
import json
import resource
import sys

import numpy as np


def main() -> None:
    """Answer every question: arrays named "batch:input" in, "batch:position" out."""
    runtime_file, model, questions, answers, options, limits = sys.argv[1:]
    _limit(**json.loads(limits))
    described = importlib.util.spec_from_file_location("runtime", runtime_file)
    assert described is not None
    assert described.loader is not None
    runtime = importlib.util.module_from_spec(described)
    described.loader.exec_module(runtime)
    batches: dict[int, dict[str, np.ndarray]] = {}
    with np.load(questions, allow_pickle=False) as found:
        for key in found:
            index, _, name = key.partition(":")
            batches.setdefault(int(index), {})[name] = found[key]
    loaded = runtime.load(model, json.loads(options))
    outputs = {
        f"{index}:{position}": array
        for index, inputs in batches.items()
        for position, array in enumerate(runtime.run(loaded, inputs))
    }
    foreign = sorted({"zoo", "exporters", *runtime.FORBIDDEN} & set(sys.modules))
    if foreign:
        sys.exit(f"the clean room has {', '.join(foreign)} in it")
    np.savez(answers, allow_pickle=False, version=np.array(runtime.version()), **outputs)


def _limit(memory: int, seconds: int) -> None:
    """Let this process have no more bytes of its own and no more seconds of the processor."""
    for kind, most in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main()
