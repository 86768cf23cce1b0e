"""Which test calls which method of the SDK: every one that an author may call is here once.

Paths begin at the session, as in the steps of a script. A test of ``CALLED`` has an app call its
methods by such steps, which is checked at its end (``claims_hold``); what the SDK and the programs
of this folder call by themselves is in ``CALLED_BY_ITSELF``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .real_app import RealApp

OBSERVABLES: Final = frozenset(
    {
        "wifiConnected",
        "wifiSsid",
        "wifiLocalIp",
        "batteryLevel",
        "charging",
        "caseBatteryLevel",
        "caseCharging",
        "caseOpen",
        "caseRemoved",
        "hotspotEnabled",
        "hotspotSsid",
        "connected",
        "modelName",
    }
)
"""What of ``device.state`` can be observed."""

CALLED: Final[Mapping[str, str]] = {
    # -- streams and display ---------------------------------------------------------------
    "test_every_event_of_phone_and_glasses_reaches_its_handlers": """
        events.onHeadPosition events.onButtonPress events.onTouchEvent
        events.onPhoneNotifications events.onPhoneNotificationDismissed events.onGlassesBattery
        events.onPhoneBattery events.onVoiceActivity events.onLocation events.onCalendarEvent
        events.onVpsCoordinates events.onPhotoTaken events.on events.getRegisteredStreams
        onHeadPosition onButtonPress onTouchEvent onPhoneNotifications
        onPhoneNotificationDismissed onVpsCoordinates onPhotoTaken onGlassesConnectionState on
    """,
    "test_what_a_session_alone_subscribes_to_is_nothing": """
        subscribeToGestures subscribe unsubscribe
    """,
    "test_a_language_takes_the_place_of_the_one_before": """
        onTranscription onTranscriptionForLanguage onTranslationForLanguage
    """,
    "test_every_event_of_the_cloud_reaches_its_handlers": """
        events.onConnected events.onDisconnected events.onError events.onSettingsUpdate
        events.onCapabilitiesUpdate events.onDashboardAlwaysOnChange events.onSettingChange
        events.emit
    """,
    "test_38_the_last_of_a_burst_of_updates_counts": "events.onAudioChunk events.onTranscription",
    "test_40_a_language_stream_is_echoed_with_its_options": "events.onTranscriptionForLanguage",
    "test_42_translations_do_not_cross": "events.ontranslationForLanguage",
    "test_45_a_stream_without_permission_is_refused_alone": """
        events.onPermissionError events.onPermissionDenied
    """,
    "test_52_the_time_of_the_user_reaches_its_handlers": "events.onCustomMessage",
    "test_56_ten_frames_within_200_ms": "layouts.showTextWall",
    "test_every_layout_is_drawn_as_the_sdk_sends_it": """
        layouts.showDoubleTextWall layouts.showReferenceCard layouts.showDashboardCard
        layouts.showBitmapAnimation layouts.showBitmapView layouts.clearView
    """,
    "test_a_card_for_the_dashboard_and_content_for_both_modes": "dashboard.content.write",
    "test_61_the_texts_of_two_apps_take_turns_on_the_dashboard": "dashboard.content.writeToMain",
    "test_62_only_the_dashboard_app_writes_sections_and_changes_the_mode": """
        dashboard.content.writeToExpanded dashboard.content.getCurrentMode
        dashboard.content.onModeChange events.onDashboardModeChange
        dashboard.system.setTopLeft dashboard.system.setTopRight dashboard.system.setBottomLeft
        dashboard.system.setBottomRight dashboard.system.setViewMode
    """,
    # -- settings, what is kept, the glasses -----------------------------------------------
    "test_73_settings_saved_while_the_app_runs": "settings.onMentraosChange settings.onValueChange",
    "test_74_settings_saved_while_the_app_is_stopped": "settings.get",
    "test_settings_are_read_in_every_way_there_is": """
        settings.onChange settings.onMentraosSettingsChange settings.onMentraosSettingChange
        settings.getMentraOS settings.getMentraosSetting settings.has settings.getAll
        settings.getSetting settings.fetch getSettings getSetting
    """,
    "test_an_app_knows_its_configuration_and_where_its_cloud_is": """
        getConfig getDefaultSettings getSettingSchema getSessionId getPackageName getServerUrl
        getHttpsServerUrl loadConfigFromJson getInstructions
    """,
    "test_settings_may_decide_what_is_subscribed_to": """
        setSubscriptionSettings updateSettingsForTesting
    """,
    "test_78_what_the_sdk_sets_is_kept_and_found_again": """
        simpleStorage.get simpleStorage.set simpleStorage.flush simpleStorage.delete
        simpleStorage.keys simpleStorage.clear
    """,
    "test_storage_is_listed_counted_and_written_in_one_go": """
        simpleStorage.setMultiple simpleStorage.size simpleStorage.hasKey
        simpleStorage.getAllData
    """,
    "test_every_part_of_the_state_of_the_glasses_is_observed": " ".join(
        [
            "device.state.getSnapshot",
            *(
                f"device.state.{name}.{method}"
                for name in OBSERVABLES
                for method in ("onChange", "valueOf", "toString")
            ),
        ]
    ),
    "test_the_wifi_of_the_glasses_is_known_to_who_listens": "getWifiStatus isWifiConnected",
    "test_50_the_handlers_of_the_sdk_ask_for_it": "location.subscribeToStream",
    "test_locations_are_no_longer_wanted": "location.unsubscribeFromStream",
    "test_51_a_fresh_location_answers_without_the_phone": "location.getLatestLocation",
    # -- requests --------------------------------------------------------------------------
    "test_64_a_photo_comes_to_the_app": "camera.requestPhoto",
    "test_a_photo_may_be_given_up_and_a_late_one_hurts_nobody": """
        camera.hasPhotoPendingRequest camera.cancelAllPhotoRequests camera.cancelPhotoRequest
    """,
    "test_rtmp_begins_lives_and_ends": """
        camera.startStream camera.stopStream camera.onStreamStatus
    """,
    "test_a_stream_is_followed_and_ends_with_all_other_requests": """
        camera.isCurrentlyStreaming camera.getCurrentStreamUrl camera.getStreamStatus
        camera.subscribeToStreamStatusUpdates camera.unsubscribeFromStreamStatusUpdates
        camera.cancelAllRequests
    """,
    "test_71_a_managed_stream_is_shared_and_ends_with_the_last_viewer": """
        camera.startManagedStream camera.stopManagedStream camera.onManagedStreamStatus
        camera.isManagedStreamActive camera.getManagedStreamUrls
    """,
    "test_72_whether_there_is_a_stream_is_known_at_once": "camera.checkExistingStream",
    "test_68_the_promise_has_what_the_glasses_answer": "audio.playAudio audio.stopAudio",
    "test_the_glasses_can_download_what_an_app_speaks": "audio.speak",
    "test_what_plays_is_counted_and_may_be_given_up": """
        audio.getPendingRequestIds audio.hasPendingRequest audio.getPendingRequestCount
        audio.cancelAudioRequest audio.cancelAllAudioRequests audio.cancelAllRequests
    """,
    "test_69_leds_and_wifi_reach_the_glasses_as_asked": "led.blink led.turnOff requestWifiSetup",
    "test_leds_may_be_lit_in_two_more_ways": """
        led.solid led.turnOn led.getCapabilities led.cleanup
    """,
    # -- other users, the session, the app's server ----------------------------------------
    "test_81_discovery_wants_the_key_and_lists_the_others_only": "discoverAppUsers getUserCount",
    "test_a_broadcast_reaches_the_others_and_not_its_sender": "broadcastToAppUsers onAppMessage",
    "test_a_direct_message_resolves_with_what_became_of_it": "sendDirectMessage",
    "test_a_room_tells_its_members_who_comes_and_goes": """
        joinAppRoom onAppUserJoined onAppUserLeft onAppRoomUpdated
    """,
    "test_a_message_of_the_authors_own_and_who_else_is_there": """
        sendMessage isUserActive leaveAppRoom
    """,
    "test_an_app_that_lets_go_is_called_when_its_user_returns": "releaseOwnership disconnect",
    "test_an_app_server_that_stops_itself_is_called_again": """
        appServer.addCleanupHandler appServer.stop
    """,
    "test_photos_are_asked_for_and_given_up_at_the_apps_server": """
        appServer.registerPhotoRequest appServer.getPhotoRequest appServer.completePhotoRequest
        appServer.cleanupPhotoRequestsForSession
    """,
    "test_tokens_of_the_apps_own_cannot_be_made": "appServer.generateToken",
}

CALLED_BY_ITSELF: Final[Mapping[str, str]] = {
    # by node/app.mjs, in every test
    "test_5_and_6_a_start_is_one_webhook_and_one_session": "appServer.start appServer.onSession",
    "test_83_the_sdk_takes_a_signed_user_token": "appServer.getExpressApp",
    # by the SDK, when a webhook comes
    "test_20_a_killed_socket_is_back_within_about_a_second": """
        connect settings.configureApiClient camera.updateSessionId audio.updateSessionId
    """,
    "test_18_a_stop_is_final": "appServer.onStop",
    "test_82_a_tool_with_and_without_a_live_session": "appServer.onToolCall",
    # by the SDK, when a message comes
    "test_73_settings_saved_while_the_app_runs": "settings.updateSettings",
    "test_75_the_metric_system_is_toggled": "settings.updateMentraosSettings",
    "test_68_the_answer_finds_an_app_that_has_reconnected": "audio.handleAudioPlayResponse",
    "test_rtmp_begins_lives_and_ends": "camera.updateStreamState camera.handleStreamCheckResponse",
    "test_71_without_an_engine_the_promise_is_rejected_soon": "camera.handleManagedStreamStatus",
    "test_every_part_of_the_state_of_the_glasses_is_observed": " ".join(
        [
            "device.state.updateFromMessage",
            *(f"device.state.{name}.setValue" for name in OBSERVABLES),
        ]
    ),
}


def claims_hold(test: str, *apps: RealApp) -> None:
    """At the end of a test: its steps have called what it is said to call.

    Raises:
        AssertionError: something that ``CALLED`` says was not called by any of ``apps``.
    """
    missing = set(CALLED.get(test, "").split()).difference(*(app.called for app in apps))
    assert not missing, f"{test} is said to call {sorted(missing)}, and does not"
