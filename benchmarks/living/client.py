"""Calls of the server with the standard library: what it answers, and how many tokens that took."""

from __future__ import annotations

import json
import urllib.request

from llmpo_jax.live.protocol import Answer, Policy, Usage


def complete(address: str, policy: Policy, given: str, seed: int) -> Answer:
    """What a policy answers to an input."""
    question = {
        "model": policy.model,
        "prompt": policy.template.replace("{input}", given),
        "temperature": policy.temperature,
        "max_tokens": policy.max_tokens,
        "stop": list(policy.stop),
        "seed": seed,
    }
    request = urllib.request.Request(
        f"{address}/v1/completions", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        content = json.load(reply)
    used = content["usage"]
    usage = Usage(calls=1, prompt_tokens=used["prompt_tokens"], completion_tokens=used["completion_tokens"])
    return Answer(content["choices"][0]["text"], usage)
