"""The clean room: load one runtime's file by its path, run a model on arrays, write what comes out.

Usage: python -I _process.py RUNTIME.py MODEL QUESTIONS.npz ANSWERS.npz OPTIONS
"""

import importlib.util
import json
import sys

import numpy as np


def main() -> None:
    """Answer every question: arrays named "batch:input" in, "batch:position" out."""
    runtime_file, model, questions, answers, options = sys.argv[1:]
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


if __name__ == "__main__":
    main()
