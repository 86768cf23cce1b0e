"""What is measured: each workload is a set of options of the load program."""

from __future__ import annotations

from typing import Final

import attrs

IDLE_USERS: Final = 10_000
FILES_TO_SPARE: Final = 400
"""Beside one for each connection: webhooks, the store, and what a runtime opens."""


@attrs.frozen(kw_only=True)
class Workload:
    """One workload.

    Attributes:
        title: what it is, for people.
        mode: of the load program.
        options: more of them.
        small: instead, where it is only to be seen that it works.
        quick: instead, in a quick run; ``in_quick``: whether it takes part in one.
        ours_only: a question to our server alone.
        apps: how many must be registered.
        heartbeat_s: how often links are pinged.
        user_grace_s: how long our server keeps the session of a user whose glasses are gone.
    """

    name: str
    title: str
    mode: str = "relay"
    options: dict[str, float] = attrs.field(factory=dict)
    small: dict[str, float] = attrs.field(factory=dict)
    quick: dict[str, float] = attrs.field(factory=dict)
    in_quick: bool = True
    ours_only: bool = False
    heartbeat_s: float = 10
    user_grace_s: float = 60

    @property
    def connections(self) -> int:
        """So many are open at the same time, at most."""
        users = int(self.options.get("users", 1))
        return users * (1 + self.apps) if self.mode in {"relay", "idle"} else 100

    @property
    def apps(self) -> int:
        """So many apps does each user run."""
        return int(self.options.get("apps", 0))


_SHORT: Final = {"seconds": 0.2, "warm-up": 0.1, "most": 0.4, "check-every": 1}

WORKLOADS: Final = (
    Workload(
        name="W1",
        title="one glasses, one app: a closed loop of 64 button events",
        options={"users": 1, "apps": 1, "window": 64},
        small=_SHORT,
    ),
    Workload(
        name="W2",
        title="one glasses, five apps: a closed loop of 64 button events",
        options={"users": 1, "apps": 5, "window": 64},
        small=_SHORT,
    ),
    Workload(
        name="W3",
        title="200 users with two apps: 20 events/s each, 2 displays/s back",
        options={
            "users": 200,
            "apps": 2,
            "rate": 20,
            "display-rate": 2,
            "speech": 1,
            "warm-up": 2,
        },
        small=_SHORT | {"users": 5, "display-rate": 20},
    ),
    Workload(
        name="W4",
        title="50 users with one app: 50 pieces of sound/s of 1,600 bytes",
        options={"users": 50, "apps": 1, "rate": 50, "audio": 1_600},
        small=_SHORT | {"users": 5},
    ),
    Workload(
        name="W5",
        title="2,000 idle glasses with their sessions, pinged every 5 s",
        mode="idle",
        options={"users": 2_000, "apps": 0, "hold": 11},
        small={"users": 20, "hold": 1.5},
        quick={"hold": 6},
        heartbeat_s=5,
    ),
    Workload(
        name="W5b",
        title="10,000 idle users with one app each",
        mode="idle",
        options={"users": IDLE_USERS, "apps": 1, "hold": 6},
        small={"users": 20, "hold": 1.5},
        in_quick=False,
        ours_only=True,
    ),
    Workload(
        name="W6",
        title="glasses that connect, are welcomed, and go: 32 at a time, each for the first time",
        mode="setup",
        options={"users": 60_000, "apps": 0, "together": 32},
        small=_SHORT,
    ),
    Workload(
        name="W6b",
        title="the same with users who come back",
        mode="setup",
        options={"users": 256, "apps": 0, "together": 32, "returning": 1},
        small=_SHORT,
    ),
    Workload(
        name="S",
        title="start and end of 10,000 sessions of users, 32 at a time",
        mode="sessions",
        options={"users": 10_000, "count": 10_000, "apps": 0, "together": 32},
        small={"users": 50, "count": 50},
        ours_only=True,
        user_grace_s=0,
    ),
    Workload(
        name="SA",
        title="start and end of 2,000 sessions of users with one app each, 32 at a time",
        mode="sessions",
        options={"users": 2_000, "count": 2_000, "apps": 1, "together": 32},
        small={"users": 50, "count": 50},
        in_quick=False,
        ours_only=True,
        user_grace_s=0,
    ),
)


def workload(name: str) -> Workload:
    """The one of that name."""
    return next(one for one in WORKLOADS if one.name == name)


def growing(users: int, events_per_s: float) -> Workload:
    """So many users with one app each, and together always the same number of events.

    Links are not pinged meanwhile: what that costs is the subject of W5.
    """
    return Workload(
        name=f"{users:,} users",
        title=f"{users:,} users with one app each, {events_per_s:,.0f} events/s in all",
        options={"users": users, "apps": 1, "rate": events_per_s / users, "warm-up": 2},
        heartbeat_s=600,
    )


def fitting(one: Workload, files: int) -> Workload:
    """``one`` with as many users as a process may have open files for.

    Our server keeps one in eight for other things than peers (``transport.tcp``).
    """
    room = files - files // 8 - FILES_TO_SPARE
    most = room // (1 + one.apps)
    if one.connections <= room or most <= 0:
        return one
    return attrs.evolve(one, options=one.options | {"users": most})
