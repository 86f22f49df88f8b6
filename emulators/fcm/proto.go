package fcm

// request is SendMessageRequest of google.firebase.fcm.v1 with everything
// below it, as the API's discovery document of October 2026 lists it.
var request = message("SendMessageRequest", flag("validate_only"), sub("message", pushMessage))

var pushMessage = message("Message",
	text("name", slotNone), // output only, and taken in silence
	text("token", slotToken), text("fid", slotFID), text("topic", slotTopic), text("condition", slotCondition),
	pairs("data", slotData),
	sub("notification", message("Notification",
		text("title", slotTitle), text("body", slotBody), text("image", slotNotification))),
	part("android", android, slotAndroidPart),
	part("android_v2", androidV2, slotAndroidV2Part),
	sub("webpush", message("WebpushConfig",
		pairs("headers", slotWebpushHeaders), pairs("data", slotWebpushData),
		free("notification", slotWebpush),
		sub("fcm_options", message("WebpushFcmOptions", text("link", slotNone), text("analytics_label", slotLabel))))),
	sub("apns", message("ApnsConfig",
		pairs("headers", slotNone), free("payload", slotAPNS), text("live_activity_token", slotNone),
		sub("fcm_options", message("ApnsFcmOptions", text("analytics_label", slotLabel), text("image", slotNone))))),
	sub("fcm_options", message("FcmOptions", text("analytics_label", slotLabel))),
)

var androidOptions = message("AndroidFcmOptions", text("analytics_label", slotLabel))

// androidCommon is what both versions of the Android part have.
var androidCommon = join(
	texts(slotNone, "collapse_key", "restricted_package_name"),
	flags("direct_boot_ok", "bandwidth_constrained_ok", "restricted_satellite_ok"),
	[]field{
		lasting("ttl", slotTTL), pairs("data", slotAndroidData), sub("fcm_options", androidOptions),
	})

var android = message("AndroidConfig", join(androidCommon, []field{
	enum("priority", "AndroidMessagePriority", "NORMAL", "HIGH"),
	sub("notification", message("AndroidNotification", join(androidNotification, flags("bypass_proxy_notification"),
		[]field{enum("proxy", "Proxy", "PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED")})...)),
})...)

var androidV2 = message("AndroidConfigV2", join(androidCommon, []field{
	sub("background_sync", message("AndroidBackgroundSyncMessage")),
	sub("remote_notification", message("AndroidRemoteNotification",
		flag("mutable_content"), flag("use_as_v1_data_message"),
		sub("notification", message("AndroidNotificationV2", join(androidNotification, []field{number("id")})...)))),
})...)

// androidNotification is what both versions of the notification have.
var androidNotification = join(
	texts(slotAndroid, "title", "body", "icon", "color", "sound", "tag", "image", "click_action",
		"body_loc_key", "title_loc_key", "channel_id", "ticker"),
	flags("sticky", "local_only", "default_sound", "default_vibrate_timings", "default_light_settings"),
	[]field{
		list("body_loc_args", slotAndroid), list("title_loc_args", slotAndroid),
		number("notification_count"),
		{name: "event_time", kind: kindTime, typ: "type.googleapis.com/google.protobuf.Timestamp"},
		{name: "vibrate_timings", kind: kindDurations, typ: "type.googleapis.com/google.protobuf.Duration"},
		enum("notification_priority", "AndroidNotification.NotificationPriority",
			"PRIORITY_UNSPECIFIED", "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX"),
		enum("visibility", "AndroidNotification.Visibility", "VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
		sub("light_settings", message("LightSettings",
			lasting("light_on_duration", slotNone), lasting("light_off_duration", slotNone),
			sub("color", message("Color", share("red"), share("green"), share("blue"), share("alpha"))))),
	})

func share(name string) field { return field{name: name, kind: kindFloat, typ: "TYPE_FLOAT"} }
