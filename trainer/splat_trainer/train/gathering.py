"""What views have taught since Adam's last step, of this process and of those that train along."""

from collections.abc import Mapping

import torch
from torch import Tensor

from splat_trainer.distributed.exchange import Exchange
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.gathered import Gathered, floats_for, gather_for
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.strategies.strategy import Strategy


class Gathering:
    """Gradients until Adam steps, and what the strategy counts until it changes the Gaussians.

    Each replica gathers those of its own views, and all tell each other only when they are
    wanted. What was told is then rank 0's to keep: the others begin anew.
    """

    def __init__(
        self,
        optimizer: GaussianOptimizer,
        strategy: Strategy,
        schedule: Schedule,
        exchange: Exchange,
        *,
        grows_to: int | None,
    ) -> None:
        """`grows_to` is the count that the Gaussians will come to, where that is known."""
        self._optimizer = optimizer
        self._strategy = strategy
        self._schedule = schedule
        self._exchange = exchange
        self._grows_to = grows_to
        self._gather = gather_for(optimizer.gaussians.device)
        self._pulls = schedule.opacity_weight > 0 or schedule.scale_weight > 0
        self._sums: Gathered | None = None
        self._looks = 0  # whose gradients are in the sums
        self._seen: Tensor | None = None  # by the one look that Adam steps by as it is
        self._counts_told = self._gradients_told = True

    def begin(self) -> None:
        """Before each step's looks; replicas do this at once."""
        if self._exchange.size == 1:
            return
        self._sums_now()
        if self._exchange.rank and self._counts_told:
            for count in self._strategy.state().values():
                count.zero_()
        if self._exchange.rank and self._gradients_told:
            self._looks = 0
        self._counts_told = self._gradients_told = False

    @torch.no_grad()
    def add(self, visible: Tensor, *, steps_next: bool) -> None:
        """Take the gradients that a look gave the Gaussians, of which it saw the `visible` [N].

        Where nobody has others to add and Adam `steps_next`, they stay where they are.
        """
        if steps_next and not self._looks and self._exchange.size == 1:
            self._seen = visible
            return
        leaves = [leaf for _, leaf in self._optimizer.gaussians]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in leaves]
        self._gather(
            self._sums_now(),
            [one.contiguous() for one in gradients],
            # What pulls at all of them does so where nothing is seen, too.
            torch.ones_like(visible) if self._pulls else visible,
            first=not self._looks,
        )
        self._looks += 1
        for leaf in leaves:
            leaf.grad = None

    @torch.no_grad()
    def step(self, step: int) -> None:
        """Have Adam step by the gradients of all replicas, and forget them."""
        self._optimizer.set_rates(step)
        if self._seen is not None:
            # What pulls at all of them does so where nothing is seen, too.
            visible_only = self._schedule.visible_only and not self._pulls
            self._optimizer.step(self._seen if visible_only else None)
        else:
            with self._exchange.sums_of_all(self._whole_sums()) as sums:
                self._optimizer.step_by(sums)
        self._seen = None
        self._looks = 0
        self._gradients_told = True

    def tell_counts(self) -> None:
        """Give every replica's strategy the counts of all."""
        if not self._counts_told:
            self._exchange.add_up([*self._strategy.state().values()])
            self._counts_told = True

    @torch.no_grad()
    def settle(self) -> None:
        """Have rank 0 hold all that was gathered, as if it had drawn all views: to be saved."""
        self.tell_counts()
        if not self._gradients_told:
            own = self._whole_sums()
            with self._exchange.sums_of_all(own) as sums:
                whole = sums.whole()
            own.take(whole)
            self._looks = 1
            self._gradients_told = True

    def state(self) -> dict[str, dict[str, Tensor]]:
        """The gradients that await a step of Adam, for a checkpoint, where there are some."""
        if not self._looks:
            return {}
        sums = self._sums_now()
        names = [name for name, _ in self._optimizer.gaussians]
        gradients = zip(names, sums.gradients, strict=True)
        pending = {**dict(gradients), "seen": sums.times_seen}
        # Copies: a file of a part of a memory holds all of it, which has room for growth.
        return {
            "pending": {name: one.to(torch.float32, copy=True) for name, one in pending.items()}
        }

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take over what `state` gave; a wrong shape is refused by torch."""
        pending = state.get("pending", {})
        if not pending:
            return
        sums = self._sums_now()
        for (name, _), part in zip(self._optimizer.gaussians, sums.gradients, strict=True):
            part.copy_(pending[name]) if name in pending else part.zero_()
        if "seen" in pending:
            sums.times_seen.copy_(pending["seen"])
        else:
            sums.times_seen.fill_(1)
        self._looks = 1

    def _whole_sums(self) -> Gathered:
        """The sums, which are zero where this replica had no view to look at."""
        sums = self._sums_now()
        if not self._looks:
            sums.clear()
        return sums

    def _sums_now(self) -> Gathered:
        """The sums, of the shapes that the Gaussians have now; replicas do this at once."""
        shapes = [leaf.shape for _, leaf in self._optimizer.gaussians]
        if self._sums is None or self._sums.shapes != shapes:
            self._sums = None  # its memory goes first
            narrow = self._exchange.narrow
            floats = floats_for(shapes, narrow=narrow)
            most = 0
            if self._grows_to is not None:
                grown = [torch.Size((self._grows_to, *one[1:])) for one in shapes]
                most = floats_for(grown, narrow=narrow)
            self._sums = Gathered(self._exchange.memory(floats, most), shapes, narrow=narrow)
        return self._sums
