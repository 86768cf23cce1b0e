"""What can go wrong between the parties of a world, and when: a ``FaultPlan`` is a value.

A plan is printed as Python that makes it again, compared, hashed, and shrunk by Hypothesis
(``strategies.fault_plans``). ``World.play`` runs it. Everything random in it follows from its
seed, so the same plan on the same world gives the same course.

Source: the toxics of Toxiproxy; FoundationDB's "swizzle-clog"; the field reports in which apps
and phones were lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

import attrs
from attrs.validators import ge, gt, in_, instance_of

EVERYWHERE: Final = "*"
SERVER: Final = "server"

Where: TypeAlias = str | int
"""Which connections, or which hosts, a fault concerns.

A host (``"server"``, a package, ``"phone of u-1@x.org"``) stands for what it has dialled and what
was dialled to it; ``*``, ``?`` and ``[...]`` stand for any characters, as in file names.
``"phone of * -> server"`` is one direction of dialling. A number is one connection, counted from 1
in the order of their making; it may be made later.
"""

WAY: Final = " -> "
"""Between who dials and who is dialled."""


@attrs.frozen(kw_only=True, repr=False)
class Fault:
    """One thing that goes wrong: where, when, for how long.

    Attributes:
        where: whom it concerns; see ``Where``.
        at: virtual seconds after the plan begins.
        lasts: seconds until it is over.
    """

    where: Where = attrs.field(default=EVERYWHERE, validator=instance_of((str, int)))
    at: float = attrs.field(default=0.0, validator=ge(0))
    lasts: float = attrs.field(default=0.0, validator=ge(0))

    @property
    def over_at(self) -> float:
        """Seconds after the plan begins at which it is over."""
        return self.at + self.lasts

    def concerns(self, *, origin: str, host: str, number: int) -> bool:
        """Whether it concerns the connection ``number``, which ``origin`` makes to ``host``."""
        if isinstance(self.where, int):
            return self.where == number
        dialling, way, dialled = self.where.partition(WAY)
        if way:
            return fnmatchcase(origin, dialling) and fnmatchcase(host, dialled)
        return fnmatchcase(origin, self.where) or fnmatchcase(host, self.where)

    def concerns_host(self, host: str) -> bool:
        """Whether it concerns ``host`` itself."""
        return isinstance(self.where, str) and fnmatchcase(host, self.where)

    def __repr__(self) -> str:
        told = [
            f"{field.name}={value!r}"
            for field in attrs.fields(type(self))
            if (value := getattr(self, field.name)) != field.default
        ]
        return f"{type(self).__name__}({', '.join(told)})"


@attrs.frozen(kw_only=True, repr=False)
class Latency(Fault):
    """Everything takes longer, connecting too; the order within one direction is kept.

    Attributes:
        seconds: that each byte is under way beyond what it is anyhow.
        jitter: up to so many seconds more, drawn anew for each piece.
    """

    seconds: float = attrs.field(default=0.1, validator=ge(0))
    jitter: float = attrs.field(default=0.0, validator=ge(0))


@attrs.frozen(kw_only=True, repr=False)
class Reorder(Fault):
    """Connections overtake each other: each gets a delay of its own, drawn once.

    Bytes of one connection stay in order.

    Attributes:
        seconds: the largest delay; it is that of connecting, too.
    """

    seconds: float = attrs.field(default=1.0, validator=ge(0))


@attrs.frozen(kw_only=True, repr=False)
class Bandwidth(Fault):
    """Few bytes pass: they arrive in pieces, and a sender waits.

    Attributes:
        bytes_per_s: in each direction of each connection.
    """

    bytes_per_s: int = attrs.field(default=1_000, validator=[instance_of(int), ge(1)])


@attrs.frozen(kw_only=True, repr=False)
class SlowReader(Fault):
    """The hosts concerned read slowly; what they send is not slowed down.

    ``where`` means the hosts that read: ``"server"`` reads slowly from everybody.

    Attributes:
        bytes_per_s: that each of their connections reads.
        window: bytes that wait before the sender has to.
    """

    bytes_per_s: int = attrs.field(default=100, validator=[instance_of(int), ge(1)])
    window: int = attrs.field(default=4_096, validator=[instance_of(int), ge(1)])


@attrs.frozen(kw_only=True, repr=False)
class Stall(Fault):
    """A black hole: bytes, ends and attempts to connect are swallowed, and nobody is told.

    Attributes:
        heals: whether what was swallowed arrives when it is over. Otherwise connections that
            were there stay as they are for ever, and only new ones work.
    """

    heals: bool = True


@attrs.frozen(kw_only=True, repr=False)
class Clog(Fault):
    """Links are stalled one by one, and released in another order, both random.

    The first half of its time belongs to the one, the second to the other. It takes the links
    that are there when it begins.
    """


@attrs.frozen(kw_only=True, repr=False)
class Cut(Fault):
    """Connections are reset: those that are there, and those made while it lasts."""


@attrs.frozen(kw_only=True, repr=False)
class SlowClose(Fault):
    """The end of a connection takes long to arrive; what is sent does not.

    Attributes:
        seconds: by which the end is late.
    """

    seconds: float = attrs.field(default=5.0, validator=ge(0))


@attrs.frozen(kw_only=True, repr=False)
class Refuse(Fault):
    """Nobody can connect.

    Attributes:
        hangs: attempts wait until it is over, instead of being refused.
    """

    hangs: bool = False


@attrs.frozen(kw_only=True, repr=False)
class DuplicateConnect(Fault):
    """Who connects gets there twice, with the same words; the copy ends when the fault does.

    As where a client has given up an attempt that has come through all the same. Nobody listens
    at the copy's end.

    Attributes:
        copy_first: the copy is the older connection; otherwise it is the newer one.
        apart: seconds between what comes of the one and what comes of the other.
    """

    copy_first: bool = True
    apart: float = attrs.field(default=0.5, validator=ge(0))


@attrs.frozen(kw_only=True, repr=False)
class Webhook(Fault):
    """App servers are slow or wrong in what they answer to webhooks.

    ``where`` means those of the server's own connections on which it calls them.

    Attributes:
        answer: ``"late"``: ``delay`` seconds after the app's own. ``"early"``: at once, before
            the app has heard of the call, which it does ``delay`` seconds later. ``"never"``:
            not, until the fault is over; then the connection is reset.
        status: answered instead of the app's own; ``None``: the app's own, or 200 where the
            answer is early.
        delay: seconds.
        heard: whether the app hears of the call at all; if not, and there is no status, 503.
    """

    answer: Literal["late", "early", "never"] = attrs.field(
        default="late", validator=in_(("late", "early", "never"))
    )
    status: int | None = attrs.field(default=None)
    delay: float = attrs.field(default=0.0, validator=ge(0))
    heard: bool = True

    @status.validator
    def _is_a_status(self, _: object, status: int | None) -> None:
        if status is not None and not 200 <= status <= 599:
            raise ValueError(f"no HTTP status of an answer: {status}")


@attrs.frozen(kw_only=True, repr=False)
class Down(Fault):
    """Hosts die as by ``kill -9``, and are started again when it is over.

    What a server had not written is lost. ``where`` means the hosts.

    Attributes:
        unseen: their peers see nothing, as where a machine has vanished from the network:
            connections stay half-open for ever. Otherwise they are reset.
    """

    where: Where = attrs.field(default=SERVER, validator=instance_of(str))
    unseen: bool = False


@attrs.frozen(kw_only=True, repr=False)
class Skew(Fault):
    """The wall clock of the server goes wrong; Trio's clock, by which it waits, does not.

    Attributes:
        jump: seconds that it is put on, or back, when the fault begins. They stay.
        rate: seconds that pass on it in one of Trio's while the fault lasts.
    """

    where: Where = attrs.field(default=SERVER, validator=in_((SERVER,)))
    jump: float = 0.0
    rate: float = attrs.field(default=1.0, validator=gt(0))


def _as_tuple(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(faults)


@attrs.frozen(repr=False)
class FaultPlan:
    """Faults, and the seed of what is random in them.

    Example: ``FaultPlan((Stall(where="com.t.a -> server", at=5, lasts=60),), seed=7)``.
    """

    faults: tuple[Fault, ...] = attrs.field(default=(), converter=_as_tuple)
    seed: int = 0

    @property
    def over_at(self) -> float:
        """Seconds after its beginning at which the last fault is over."""
        return max((fault.over_at for fault in self.faults), default=0.0)

    def __repr__(self) -> str:
        seed = f"seed={self.seed!r}"
        return f"FaultPlan({self.faults!r}, {seed})" if self.faults else f"FaultPlan({seed})"


KINDS: Final = (
    *(Latency, Reorder, Bandwidth, SlowReader, Stall, Clog, Cut, SlowClose, Refuse),
    *(DuplicateConnect, Webhook, Down, Skew),
)
"""Every kind of fault."""
