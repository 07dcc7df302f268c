"""A live experiment: what to compare next, what was told, what is proven. Everything is in its journal."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from llmpo_jax.arguments import Number, Whole, whole
from llmpo_jax.live import journal, standing
from llmpo_jax.live.arrangement import Arrangement, arranged
from llmpo_jax.live.conclusion import Conclusion
from llmpo_jax.live.protocol import Ask, Moment, Policy, Presentation, Status, Usage
from llmpo_jax.live.records import check_tell, checked_usage
from llmpo_jax.live.state import State
from llmpo_jax.live.tally import Tally
from llmpo_jax.protocol import Existence
from llmpo_jax.spaces import SamplerName, StoppingName

FORMAT = 1


class Experiment:
    """The procedure LLM-PO on real policies: `ask` what to compare, `tell` who won, until it is proven who is best.

    Any number of comparisons may be in flight, and their verdicts may be told in any order, also by another process
    later on (`open`). Use as a context manager, or `close` it: one process at a time holds the folder.

    The guarantee is that of the stopping rule (a proven one errs with probability at most delta), where
    - a comparison of two policies is won with a chance that depends on the two alone, given all earlier ones: their
      input is drawn at random, and so is the order of presentation, after the pair is fixed;
    - verdicts are settled in the order of the asks, however late they come, so that slow answers favour nobody;
    - a tie or a void verdict is no evidence. What is proven is about decided comparisons.
    It is about these inputs, drawn uniformly with replacement, and about this judge.

    With one comparison in flight and no ties, decisions are those of `llmpo_jax.simulate` with the same seed,
    replication 0, comparison for comparison.

    Example:
        >>> import tempfile
        >>> import llmpo_jax as lp
        >>> with lp.Experiment.create(tempfile.mkdtemp() + "/e", ["short", "long"], ["2 + 2", "3 + 5"]) as experiment:
        ...     while experiment.status().stop is None:
        ...         (ask,) = experiment.ask()
        ...         experiment.tell(ask.id, "first" if ask.first == "long" else "second")
        ...     experiment.status().winner
        'long'
    """

    def __init__(self, folder: Path, book: journal.Journal, header: Mapping[str, Any]) -> None:
        self.folder = folder
        self.arrangement = Arrangement.from_json(header["configuration"])
        """What it is, as fixed at its start."""
        self.notes: list[str] = []
        """What a user should know of how it was opened."""
        self._book = book
        self._state = State(self.arrangement)
        self._asks: list[Ask] = []
        self._verdicts: dict[int, str] = {}
        self._settled = 0
        self._paused: tuple[str, str] | None = None
        self._conclusion = Conclusion(self.arrangement, self._state.procedure, self._state.order)
        self._tally = Tally(self.names)
        self.history: list[Moment] = []
        """Its course, one entry for each settled comparison that was decided."""

    @classmethod
    def create(
        cls,
        folder: str | Path,
        policies: Sequence[str | Policy | Mapping[str, Any]],
        inputs: Sequence[Any],
        *,
        delta: Number = 0.05,
        sampler: SamplerName | str = "llm-po",
        stopping: StoppingName | str = "e-process",
        existence: Existence = "assumed",
        features: Any = None,
        seed: Whole = 0,
        epsilon: Number | None = None,
        presentation: Presentation = "random",
        extra: Mapping[str, Any] | None = None,
        resume: bool = False,
    ) -> Experiment:
        """Begin an experiment in a new folder.

        Args:
            folder: where its journal is kept.
            policies: K names, or specifications (`Policy`, or its fields by name).
            inputs: what they are to answer, anything that JSON can hold; drawn uniformly with replacement.
            delta: the error allowed, in (0, 1).
            sampler, stopping: names (`llmpo_jax.samplers`, `llmpo_jax.stopping`, and `structured` in either).
            existence: "assumed" if one policy is known to beat all others, "certify" if this must be shown.
            features: [K, d] for the structured space: linear Bradley-Terry; one row a policy.
            seed: of all randomness, 0 to 2^64 - 1.
            epsilon: in (0, 1/2). The experiment also ends when all policies that are left are proven equal to the
                leader to within epsilon (`llmpo_jax.live.shares.Equivalence`); half of delta is set aside for that.
                Equal policies otherwise never end it.
            presentation: "random" order of the two answers, or "both" orders, where disagreement is a tie.
            extra: anything else that belongs to the configuration, such as the judge.
            resume: go on with the experiment that the folder holds, if it is this one.

        Raises:
            ValueError: bad arguments; a folder that holds an experiment (with `resume`, another one: the message names
                the difference); a folder that cannot be written to.
        """
        folder = Path(folder)
        arrangement = arranged(
            policies,
            inputs,
            delta=delta,
            sampler=sampler,
            stopping=stopping,
            existence=existence,
            features=features,
            seed=seed,
            epsilon=epsilon,
            presentation=presentation,
            extra=extra,
        )
        if journal.exists(folder):
            return cls._resumed(folder, arrangement, resume)
        versions = {"llmpo_jax": version("llmpo-jax"), "jax": version("jax"), "python": platform.python_version()}
        header = {"type": "header", "format": FORMAT, "versions": versions, "configuration": arrangement.as_json()}
        return cls(folder, journal.Journal.create(folder, header), header)

    @classmethod
    def _resumed(cls, folder: Path, arrangement: Arrangement, resume: bool) -> Experiment:
        found = cls.open(folder)
        difference = arrangement.difference(found.arrangement.as_json())
        if difference is None and resume:
            return found
        found.close()
        other = f" of another configuration: {difference}" if difference else ""
        raise ValueError(f"{folder} holds an experiment already{other}; expected a new folder, or to open this one")

    @classmethod
    def open(cls, folder: str | Path, *, read_only: bool = False) -> Experiment:
        """Go on with an experiment where its journal ends; nothing that was told is asked again.

        Args:
            folder: where its journal is kept.
            read_only: only to look at it, also while another process goes on with it.

        Raises:
            ValueError: no experiment, one in use by another process, or a damaged journal (the message says where).
        """
        folder = Path(folder)
        book, records = journal.Journal.open(folder, locked=not read_only)
        try:
            header = records[0]
            if header.get("format") != FORMAT:
                raise ValueError(f"{book.path} has format {header.get('format')!r}, expected {FORMAT}")
            found = cls(folder, book, header)
            for number, record in enumerate(records[1:], 2):
                try:
                    found._replay(record)
                except (KeyError, TypeError, ValueError) as error:
                    raise ValueError(f"{book.path}, line {number} of the journal makes no sense: {error}") from error
            return found
        except BaseException:
            book.close()
            raise

    def close(self) -> None:
        """Let go of the folder."""
        self._book.close()

    def __enter__(self) -> Experiment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the policies."""
        return self.arrangement.names

    @property
    def pending(self) -> list[Ask]:
        """What is asked and not told yet, in ask order."""
        return [ask for ask in self._asks[self._settled :] if ask.id not in self._verdicts]

    @property
    def ended(self) -> bool:
        """Whether nothing more will be asked: what is settled ends it, not a limit."""
        return self._conclusion.stop is not None

    @property
    def comparisons(self) -> list[tuple[Ask, str]]:
        """All asks that are told, with their verdicts, in ask order."""
        return [(ask, self._verdicts[ask.id]) for ask in self._asks if ask.id in self._verdicts]

    def ask(self, n: Whole = 1) -> list[Ask]:
        """The next `n` comparisons to be made, safe in the journal; none once the experiment has ended.

        Raises:
            ValueError: n < 1, or the journal cannot be written (nothing is asked then).
        """
        n = whole("n", n, 1)
        if self.ended:
            return []
        asks, sampler, samplers = [], self._state.rep.sampler, []
        for number in range(len(self._asks) + 1, len(self._asks) + n + 1):
            unsettled = [*self._asks[self._settled :], *asks]
            first, second, sampler = self._state.choose(number, unsettled, self._verdicts, sampler, self._tally)
            asks.append(self._ask(number, first, second))
            samplers.append(sampler)
        self._book.append([{"type": "ask", **vars(ask)} for ask in asks])
        for ask, sampler in zip(asks, samplers, strict=True):
            self._asked(ask, sampler)
        return asks

    def tell(
        self,
        id: Whole,
        verdict: str,
        *,
        usage: Usage | Mapping[str, float] | None = None,
        detail: Mapping[str, Any] | None = None,
        failed: str | None = None,
    ) -> None:
        """Who won comparison `id`, safe in the journal.

        Args:
            id: of the ask.
            verdict: "first" or "second" (as the ask names them, whatever the order of presentation), "tie", or "void"
                where there is no verdict.
            usage: what it cost beyond the calls that are in the journal, fields as in `Usage`.
            detail: to be kept in the journal. `shown`: "first" or "second", the place of the winner as presented, where
                the verdict does not tell it; `right`: [bool, bool], whether the answers of first and second are right.
            failed: the policy (or "judge") because of whose failure the comparison is void.

        Raises:
            ValueError: not asked, told already, no such verdict, or the journal cannot be written: nothing is told.
        """
        number = int(id) if isinstance(id, np.integer) else id
        record: dict[str, Any] = {"type": "tell", "id": number, "verdict": verdict}
        if usage is not None:
            record["usage"] = vars(usage if isinstance(usage, Usage) else checked_usage(usage))
        if detail:
            record["detail"] = dict(detail)
        if failed is not None:
            record["failed"] = failed
        check_tell(record, len(self._asks), self._verdicts, self.names)
        self._book.append([record])
        before = self.ended
        self._told(record)
        if self._conclusion.stop is not None and not before:
            stop, reason = self._conclusion.stop
            self._book.append([{"type": "stop", "stop": stop, "reason": reason}])

    def status(self) -> Status:
        """Where it stands."""
        stop = self._conclusion.stop or self._paused
        return standing.status(self.arrangement, self._conclusion, self._tally, len(self._asks), stop)

    async def run(
        self,
        generate: Callable[..., Any],
        judge: Callable[..., Any],
        *,
        in_flight: Whole = 8,
        max_cost: Number | None = None,
        max_comparisons: Whole | None = None,
        progress: Callable[[Status], None] | None = None,
    ) -> Status:
        """Ask, have both policies answer and the answers judged, and tell, until it is decided or a limit is reached.

        Args:
            generate: `(policy, input, seed) -> text` or an `Answer`; `policy` as given to `create`.
            judge: `(input, answer shown first, answer shown second) -> verdict` or a `Judgement`; "first" stands for
                the answer shown first. One that has a parameter `seed` is given the ask's. Both functions may be
                coroutines; others run in threads. `CallFailed` makes the comparison void, any other error ends the run.
            in_flight: comparisons at a time.
            max_cost: no comparison is begun once all calls together have cost that much.
            max_comparisons: no more comparisons than that in all, void ones included.
            progress: called with the status after every verdict.

        Returns:
            The status at the end; `stop` says why it ended. After a limit, `run` may be called again.
        """
        from llmpo_jax.live.running import Runner

        return await Runner(self, generate, judge, progress).run(in_flight, max_cost, max_comparisons)

    def record_call(self, ask: int, who: str, key: str, output: Any, usage: Usage) -> None:
        """Keep what a call gave and cost: it is never paid for again."""
        record = {"type": "call", "ask": ask, "who": who, "key": key, "output": output, "usage": vars(usage)}
        self._book.append([record])
        self._tally.called(who, key, output, usage)

    def recorded(self, key: str) -> Any:
        """What a call with this key gave, None where there was none."""
        return self._tally.outputs.get(key)

    def pause(self, stop: str, reason: str) -> None:
        """Keep why a run ended that may be gone on with."""
        self._book.append([{"type": "stop", "stop": stop, "reason": reason}])
        self._paused = stop, reason

    def _ask(self, number: int, first: str, second: str) -> Ask:
        """Input, order and seed are drawn only now that the pair is fixed."""
        seed, inputs = self.arrangement.seed, self.arrangement.inputs
        rng = np.random.default_rng([seed >> 32, seed & 0xFFFFFFFF, number])
        given, swapped, own = inputs[rng.integers(len(inputs))], bool(rng.integers(2)), int(rng.integers(2**31))
        return Ask(number, first, second, given, swapped, own)

    def _asked(self, ask: Ask, sampler: Any) -> None:
        self._asks.append(ask)
        self._state.chosen(sampler)
        self._paused = None

    def _told(self, record: Mapping[str, Any]) -> None:
        ask = self._asks[record["id"] - 1]
        self._verdicts[ask.id] = record["verdict"]
        self._tally.told(ask, record)
        while self._settled < len(self._asks) and not self.ended:
            ask = self._asks[self._settled]
            if ask.id not in self._verdicts:
                break
            self._settle(ask, self._verdicts[ask.id])
            self._settled += 1

    def _settle(self, ask: Ask, verdict: str) -> None:
        """Weigh the next verdict in ask order."""
        view = self._state.settle(ask, verdict) if verdict in ("first", "second") else None
        self._conclusion.settle(ask, verdict, self._tally.shown[ask.id], self._state.rep, view)
        if view is not None:
            leader, evidence = self._conclusion.leader, self._conclusion.evidence
            self.history.append(Moment(ask.id, self._conclusion.decided, self.names[leader], evidence))

    def _replay(self, record: Mapping[str, Any]) -> None:
        """What a record of the journal did."""
        kind = record["type"]
        if kind == "ask":
            ask = Ask(**{name: value for name, value in record.items() if name != "type"})
            if ask.id != len(self._asks) + 1:
                raise ValueError(f"ask {ask.id} follows ask {len(self._asks)}")
            unsettled, sampler = self._asks[self._settled :], self._state.rep.sampler
            first, second, sampler = self._state.choose(ask.id, unsettled, self._verdicts, sampler, self._tally)
            if (first, second) != (ask.first, ask.second) and not self.notes:
                self.notes.append(
                    f"from ask {ask.id} on, pairs differ from what would be asked here (another version or machine); "
                    "the journal stands, and evidence is valid for any pairs"
                )
            self._asked(ask, sampler)
        elif kind == "tell":
            check_tell(record, len(self._asks), self._verdicts, self.names)
            self._told(record)
        elif kind == "call":
            self._tally.called(record["who"], record["key"], record["output"], Usage(**record["usage"]))
        elif kind == "stop":
            self._paused = record["stop"], record["reason"]
        else:
            raise ValueError(f"a record of type {kind!r}, expected ask, call, tell or stop")
