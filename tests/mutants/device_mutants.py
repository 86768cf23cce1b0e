"""Bugs in what is told of the glasses, in settings, hardware checks and tools."""

from __future__ import annotations

from typing import Final

from mutant import Mutant

DEVICES: Final = "sessions/test_devices.py"
SETTINGS: Final = "sessions/test_changed_settings.py"
HARDWARE: Final = "sessions/test_hardware_checks.py"
TOOLS: Final = "web/test_web_tool_routes.py"


def bug(name: str, path: str, old: str, new: str, test: str) -> Mutant:
    """A bug in the module at ``path``, which ``test`` should notice."""
    return Mutant(name=name, path=path, old=old, new=new, tests=(test,), realistic=False)


DEVICE_MUTANTS: Final = (
    bug(
        "the_time_of_a_state_is_news",
        "domain/device_state.py",
        "if key != TIMESTAMP and state.get(key) != value",
        "if state.get(key) != value",
        "domain/test_device_state.py",
    ),
    bug(
        "a_model_does_not_imply_a_connection",
        "domain/device_state.py",
        "        known.setdefault(CONNECTED, True)\n",
        "        pass\n",
        "domain/test_device_state.py",
    ),
    bug(
        "a_connection_waits_with_the_rest",
        "sessions/devices.py",
        "        if URGENT & changed.keys():\n            self._tell()\n        else:\n",
        "        if True:\n",
        DEVICES,
    ),
    bug(
        "what_changed_back_is_told",
        "sessions/devices.py",
        " if state[key] != told}",
        "}",
        DEVICES,
    ),
    bug(
        "what_was_told_is_told_again",
        "sessions/devices.py",
        "        self._untold = {}\n",
        "",
        DEVICES,
    ),
    bug(
        "capabilities_are_told_for_every_battery",
        "sessions/devices.py",
        "        if MODEL_NAME in changed or changed.get(CONNECTED):\n",
        "        if changed:\n",
        DEVICES,
    ),
    bug(
        "the_state_is_not_written_down",
        "sessions/devices.py",
        "        self.place.device_changed()\n",
        "",
        DEVICES,
    ),
    bug(
        "the_chosen_glasses_count_as_connected",
        "sessions/devices.py",
        "{MODEL_NAME: wearable, CONNECTED: self.place.device.connected}",
        "{MODEL_NAME: wearable}",
        DEVICES,
    ),
    bug(
        "the_user_s_settings_are_not_told_after_the_app_s",
        "sessions/settings.py",
        "            app.send(encode(general))\n",
        "",
        SETTINGS,
    ),
    bug(
        "every_status_is_written",
        "domain/user_settings.py",
        "        if name not in known or as_json(known[name]) != as_json(value)\n",
        "",
        SETTINGS,
    ),
    bug(
        "what_is_stated_while_the_store_writes_is_lost",
        "sessions/settings.py",
        "            if self._stated == stated:  # nothing else was stated meanwhile\n",
        "            if True:\n",
        SETTINGS,
    ),
    bug(
        "every_change_of_settings_makes_a_call_of_its_own",
        "sessions/settings.py",
        "        if not being_told and package in self._due:\n",
        "        if package in self._due:\n",
        SETTINGS,
    ),
    bug(
        "the_last_change_is_not_told_to_the_server",
        "sessions/settings.py",
        "        if being_told or len(self._due) < SERVERS_AT_ONCE:\n",
        "        if not being_told and len(self._due) < SERVERS_AT_ONCE:\n",
        SETTINGS,
    ),
    bug(
        "an_app_stops_others_before_its_hardware_is_looked_at",
        "sessions/foreground.py",
        "        refused = self._lacks(package, known)\n",
        "        refused = None\n",
        HARDWARE,
    ),
    bug(
        "a_running_app_goes_on_without_what_it_requires",
        "sessions/devices.py",
        "            self.place.fit()\n",
        "",
        HARDWARE,
    ),
    bug(
        "a_lost_app_is_called_although_the_glasses_lack_it",
        "sessions/app_returning.py",
        "    return app.desk.admits(app)\n",
        "    return True\n",
        HARDWARE,
    ),
    bug(
        "a_rest_is_revived_although_the_glasses_lack_it",
        "sessions/app_phases.py",
        "    else:\n        app.desk.admits(app)\n",
        "",
        HARDWARE,
    ),
    bug(
        "an_app_that_the_user_stopped_comes_back_with_its_glasses",
        "sessions/roster.py",
        "        self.compatibility.forget(package)\n        rested",
        "        rested",
        HARDWARE,
    ),
    bug(
        "two_apps_have_the_foreground_after_the_glasses_changed",
        "sessions/foreground.py",
        "self.roster.wishes.wanted | self.roster.compatibility.waiting",
        "self.roster.wishes.wanted",
        HARDWARE,
    ),
    bug(
        "glasses_that_change_back_too_soon_leave_the_app_away",
        "sessions/returns.py",
        "            self.roster.compatibility.begin_waiting()\n",
        "",
        HARDWARE,
    ),
    bug(
        "what_is_optional_stops_an_app",
        "domain/hardware.py",
        "return tuple(one for one in missing(requirements, capabilities) if one.required)",
        "return missing(requirements, capabilities)",
        "domain/test_hardware.py",
    ),
    bug(
        "anybody_s_token_calls_tools_for_others",
        "web/tool_routes.py",
        "    return core_user(services, token) == user or is_admin(services, token)\n",
        "    return core_user(services, token) is not None or is_admin(services, token)\n",
        TOOLS,
    ),
    bug(
        "a_key_of_another_app_is_taken",
        "web/identity.py",
        " and package == registration.package",
        "",
        TOOLS,
    ),
    bug(
        "a_tool_call_is_never_over",
        "sessions/tool_calls.py",
        "            self._under_way -= Counter([user])\n",
        "            pass\n",
        TOOLS,
    ),
)
