"""Bugs that show only where somebody gives up: an await in the wrong place, a lost ``finally``."""

# ruff: noqa: E501  source is quoted as it is

from __future__ import annotations

from typing import Final

from mutant import Mutant


def slip(name: str, path: str, old: str, new: str, *tests: str) -> Mutant:
    """A bug anywhere; ``tests`` are those of ``tests/cancellation``, without ``test_cancelled_``."""
    return Mutant(
        name=name,
        path=path,
        old=old,
        new=new,
        tests=tuple(f"cancellation/test_cancelled_{one}.py" for one in tests),
    )


CANCELLATION_MUTANTS: Final = (
    slip(
        "a_message_is_taken_before_the_last_await",
        "clients/inbox.py",
        "                    del self._kept[position]\n                    return item\n",
        "                    del self._kept[position]\n"
        "                    await trio.lowlevel.checkpoint()\n"
        "                    return item\n",
        "shapes",
    ),
    slip(
        "an_end_that_is_given_up_takes_the_facts_along",
        "telemetry/followers.py",
        "        self._waiting.clear()\n",
        "        self._waiting.clear()\n        await trio.lowlevel.checkpoint()\n",
        "shapes",
    ),
    slip(
        "a_close_that_is_given_up_ends_nothing",
        "clients/dialing.py",
        "            if not said_goodbye:\n",
        "            if said_goodbye:\n",
        "clients",
    ),
    slip(
        "given_listeners_stay_open",
        "server.py",
        "            opened.push_async_callback(listener.aclose)  # also",
        "            pass  # also",
        "whole_world",
    ),
    slip(
        "a_cancelled_webhook_leaves_a_generator",
        "webhooks/client.py",
        'content=_Body(b"" if body is None else body),',
        "content=body,",
        "whole_world",
        "networks",
    ),
    slip(
        "a_cancelled_webhook_leaves_its_connection_open",
        "webhooks/connecting.py",
        "                await trio.aclose_forcefully(stream)\n\n\n@attrs",
        "                pass\n\n\n@attrs",
        "networks",
        "whole_world",
    ),
    slip(
        "a_dial_that_is_given_up_leaves_its_connection",
        "testing/network.py",
        "                connection.discard()\n",
        "                pass\n",
        "networks",
    ),
    slip(
        "a_stop_is_written_before_it_is_done",
        "sessions/roster.py",
        "        running = self.stop_now(package, StopCause.USER)\n"
        "        await self.wishes.write_stop(package)\n",
        "        await self.wishes.write_stop(package)\n"
        "        running = self.stop_now(package, StopCause.USER)\n",
        "commands",
    ),
    slip(
        "a_cancelled_transaction_is_half_done",
        "storage/memory_store.py",
        "        self._schemas[registration.package] = to_json(\n",
        "        self._apps[registration.package] = attrs.evolve(registration, name='half')\n"
        "        await trio.lowlevel.checkpoint()\n"
        "        self._schemas[registration.package] = to_json(\n",
        "stores",
    ),
    slip(
        "a_caller_is_told_that_nothing_was_written",
        "storage/writer.py",
        "        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)\n",
        "        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)\n",
        "stores",
    ),
)
