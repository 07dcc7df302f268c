"""The loop of an experiment: several comparisons in flight, each two answers and a verdict."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from llmpo_jax.arguments import Number, Whole, real, whole
from llmpo_jax.live.protocol import VERDICTS, Answer, Ask, CallFailed, Judgement, Policy, Status
from llmpo_jax.registry import nearest

if TYPE_CHECKING:
    from llmpo_jax.live.experiment import Experiment

FAILURES = 5
"""Comparisons running that fail because of one policy, or of the judge: nothing more is paid for then."""

GRACE = 0.5
"""Seconds that calls in flight have to return in when a run ends."""

_OTHER = {"first": "second", "second": "first"}


class Runner:
    """One run of an experiment; arguments as in `Experiment.run`."""

    def __init__(
        self,
        experiment: Experiment,
        generate: Callable[..., Any],
        judge: Callable[..., Any],
        progress: Callable[[Status], None] | None,
    ) -> None:
        self._experiment, self._generate, self._judge = experiment, generate, judge
        self._progress = progress
        self._policies = dict(zip(experiment.names, experiment.arrangement.policies, strict=True))
        self._seeded = "seed" in inspect.signature(judge).parameters
        self._answers: dict[str, asyncio.Task[str]] = {}
        self._failures = dict.fromkeys((*experiment.names, "judge"), 0)

    async def run(self, in_flight: Whole, max_cost: Number | None, max_comparisons: Whole | None) -> Status:
        """Until the experiment ends or a limit is reached."""
        in_flight = whole("in_flight", in_flight, 1)
        max_cost = None if max_cost is None else real("max_cost", max_cost, 0)
        max_comparisons = None if max_comparisons is None else whole("max_comparisons", max_comparisons, 1)
        experiment = self._experiment
        waiting = [] if experiment.ended else experiment.pending
        tasks: set[asyncio.Task[None]] = set()
        limit: tuple[str, str] | None = None
        with ThreadPoolExecutor(2 * in_flight, "calls") as self._threads:
            try:
                while True:
                    while len(tasks) < in_flight and limit is None:
                        limit = self._limit(max_cost, None if waiting else max_comparisons)
                        asks = [] if limit else [waiting.pop(0)] if waiting else experiment.ask()
                        if not asks:
                            break
                        tasks.add(asyncio.create_task(self._compare(asks[0])))
                    if not tasks:
                        break
                    done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    for error in [task.exception() for task in done]:
                        if error is not None:
                            raise error
                    if self._progress is not None:
                        self._progress(experiment.status())
                    if experiment.ended:
                        break
            finally:
                await self._abandon(tasks)
        if limit is not None and not experiment.ended:
            experiment.pause(*limit)
        return experiment.status()

    async def _abandon(self, tasks: set[asyncio.Task[None]]) -> None:
        """Let go of the calls in flight; what they would have given is not needed, or asked again."""
        # What is nearly there is kept; and a connection is not cut while it is made, which would leave it open.
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        left = [*tasks, *(task for task in self._answers.values() if not task.done())]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _limit(self, max_cost: float | None, max_comparisons: int | None) -> tuple[str, str] | None:
        """Why no further comparison may begin."""
        failing = any(count >= FAILURES for count in self._failures.values())
        if not failing and max_cost is None and max_comparisons is None:
            return None
        status = self._experiment.status()
        undecided = f"Undecided: {len(status.standings) - len(status.refuted)} policies are not refuted."
        for who, count in self._failures.items():
            if count >= FAILURES:
                subject = "The judge" if who == "judge" else f"Policy {who!r}"
                text = f"{subject} failed in {count} comparisons running: {self._last_failure}. {undecided}"
                return ("judge" if who == "judge" else "policy"), text
        if max_cost is not None and status.usage.cost >= max_cost:
            return "cost", f"The calls cost {status.usage.cost:.6g} of the {max_cost:g} allowed. {undecided}"
        if max_comparisons is not None and status.asked >= max_comparisons:
            return "comparisons", f"All {max_comparisons} comparisons allowed are made. {undecided}"
        return None

    async def _compare(self, ask: Ask) -> None:
        """One comparison: two answers, a verdict, told."""
        answers = await asyncio.gather(
            *(self._answer(ask, name) for name in (ask.first, ask.second)), return_exceptions=True
        )
        for name, answer in zip((ask.first, ask.second), answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, CallFailed):
                raise answer
            self._failures[name] = self._failures[name] + 1 if isinstance(answer, CallFailed) else 0
        for name, answer in zip((ask.first, ask.second), answers, strict=True):
            if isinstance(answer, CallFailed):
                return self._void(ask, name, answer)
        try:
            verdict, detail = await self._verdict(ask, *(str(answer) for answer in answers))
        except CallFailed as error:
            self._failures["judge"] += 1
            return self._void(ask, "judge", error)
        self._failures["judge"] = 0
        self._experiment.tell(ask.id, verdict, detail=detail)

    def _void(self, ask: Ask, who: str, error: CallFailed) -> None:
        self._last_failure = str(error)
        self._experiment.tell(ask.id, "void", usage=error.usage, detail={"error": str(error)}, failed=who)

    async def _answer(self, ask: Ask, name: str) -> str:
        """A policy's answer. At temperature 0 an input is answered once for all, elsewhere anew in every comparison."""
        policy = self._policies[name]
        fixed = isinstance(policy, Policy) and policy.temperature == 0
        spec = dataclasses.asdict(policy) if isinstance(policy, Policy) else policy
        key = _key("answer", spec, ask.input, None if fixed else [ask.id, ask.seed])
        stored = self._experiment.recorded(key)
        if stored is not None:
            return stored
        task = self._answers.get(key)
        if task is None:
            task = self._answers[key] = asyncio.create_task(self._call_policy(ask, name, policy, key))
        try:
            return await asyncio.shield(task)
        finally:
            # Another comparison may have waited for the same answer.
            if task.done() and self._answers.get(key) is task:
                del self._answers[key]

    async def _call_policy(self, ask: Ask, name: str, policy: Policy | str, key: str) -> str:
        given = await self._call(self._generate, policy, ask.input, ask.seed)
        answer = Answer(given) if isinstance(given, str) else given
        if not isinstance(answer, Answer):
            raise ValueError(f"generate returned {type(given).__name__}, expected a text or an Answer")
        self._experiment.record_call(ask.id, name, key, answer.text, answer.usage)
        return answer.text

    async def _verdict(self, ask: Ask, first: str, second: str) -> tuple[str, dict[str, Any]]:
        """The verdict as the ask names the two, and what is to be kept beside it."""
        orders = (
            (ask.swapped, not ask.swapped) if self._experiment.arrangement.presentation == "both" else (ask.swapped,)
        )
        given = [
            await self._judgement(ask, *((second, first) if swapped else (first, second)), swapped)
            for swapped in orders
        ]
        verdicts = [_OTHER.get(j.verdict, j.verdict) if s else j.verdict for j, s in zip(given, orders, strict=True)]
        detail = dict(given[0].detail)
        if given[0].right is not None:
            detail["right"] = list(given[0].right[::-1] if ask.swapped else given[0].right)
        if len(orders) == 2:
            detail |= {"orders": verdicts, "shown": given[0].verdict}
        if "void" in verdicts:
            return "void", detail
        return (verdicts[0] if len(set(verdicts)) == 1 else "tie"), detail

    async def _judgement(self, ask: Ask, shown_first: str, shown_second: str, swapped: bool) -> Judgement:
        key = _key("verdict", ask.id, swapped, shown_first, shown_second)
        stored = self._experiment.recorded(key)
        if stored is not None:
            return Judgement(**stored)
        keywords = {"seed": ask.seed} if self._seeded else {}
        given = await self._call(self._judge, ask.input, shown_first, shown_second, **keywords)
        judgement = Judgement(given) if isinstance(given, str) else given
        if not isinstance(judgement, Judgement):
            raise ValueError(f"the judge returned {type(given).__name__}, expected one of {', '.join(VERDICTS)}")
        if judgement.verdict not in VERDICTS:
            raise ValueError(f"the judge returned {judgement.verdict!r}{nearest(judgement.verdict, VERDICTS)}")
        if judgement.usage.calls:
            output = {"verdict": judgement.verdict, "right": judgement.right, "detail": dict(judgement.detail)}
            self._experiment.record_call(ask.id, "judge", key, output, judgement.usage)
        return judgement

    async def _call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """What a function, or a coroutine, returns; functions run in threads."""
        if inspect.iscoroutinefunction(function):
            return await function(*arguments, **keywords)
        loop = asyncio.get_running_loop()
        given = await loop.run_in_executor(self._threads, lambda: function(*arguments, **keywords))
        return await given if inspect.isawaitable(given) else given


def _key(*parts: Any) -> str:
    """A name for a call: the same for the same parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
