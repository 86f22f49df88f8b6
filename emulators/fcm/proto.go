package fcm

// request is SendMessageRequest of google.firebase.fcm.v1 with all its messages, from
// the discovery document of the API of October 2026.
var request = newSchema("SendMessageRequest", boolField("validate_only"), messageField("message", pushMessage))

var pushMessage = newSchema("Message",
	stringField("name", slotNone), // output only; FCM accepts and ignores it
	stringField("token", slotToken), stringField("fid", slotFID), stringField("topic", slotTopic), stringField("condition", slotCondition),
	mapField("data", slotData),
	messageField("notification", newSchema("Notification",
		stringField("title", slotTitle), stringField("body", slotBody), stringField("image", slotNotification))),
	messagePartField("android", android, slotAndroidPart),
	messagePartField("android_v2", androidV2, slotAndroidV2Part),
	messageField("webpush", newSchema("WebpushConfig",
		mapField("headers", slotWebpushHeaders), mapField("data", slotWebpushData),
		structField("notification", slotWebpush),
		messageField("fcm_options", newSchema("WebpushFcmOptions", stringField("link", slotNone), stringField("analytics_label", slotLabel))))),
	messageField("apns", newSchema("ApnsConfig",
		mapField("headers", slotNone), structField("payload", slotAPNS), stringField("live_activity_token", slotNone),
		messageField("fcm_options", newSchema("ApnsFcmOptions", stringField("analytics_label", slotLabel), stringField("image", slotNone))))),
	messageField("fcm_options", newSchema("FcmOptions", stringField("analytics_label", slotLabel))),
)

var androidOptions = newSchema("AndroidFcmOptions", stringField("analytics_label", slotLabel))

// androidCommon has the fields of both versions of the Android part.
var androidCommon = joinFields(
	stringFields(slotNone, "collapse_key", "restricted_package_name"),
	boolFields("direct_boot_ok", "bandwidth_constrained_ok", "restricted_satellite_ok"),
	[]field{
		durationField("ttl", slotTTL), mapField("data", slotAndroidData), messageField("fcm_options", androidOptions),
	})

var android = newSchema("AndroidConfig", joinFields(androidCommon, []field{
	enumField("priority", "AndroidMessagePriority", "NORMAL", "HIGH"),
	messageField("notification", newSchema("AndroidNotification", joinFields(androidNotification, boolFields("bypass_proxy_notification"),
		[]field{enumField("proxy", "Proxy", "PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED")})...)),
})...)

var androidV2 = newSchema("AndroidConfigV2", joinFields(androidCommon, []field{
	messageField("background_sync", newSchema("AndroidBackgroundSyncMessage")),
	messageField("remote_notification", newSchema("AndroidRemoteNotification",
		boolField("mutable_content"), boolField("use_as_v1_data_message"),
		messageField("notification", newSchema("AndroidNotificationV2", joinFields(androidNotification, []field{intField("id")})...)))),
})...)

// androidNotification has the fields of both versions of the notification.
var androidNotification = joinFields(
	stringFields(slotAndroid, "title", "body", "icon", "color", "sound", "tag", "image", "click_action",
		"body_loc_key", "title_loc_key", "channel_id", "ticker"),
	boolFields("sticky", "local_only", "default_sound", "default_vibrate_timings", "default_light_settings"),
	[]field{
		stringsField("body_loc_args", slotAndroid), stringsField("title_loc_args", slotAndroid),
		intField("notification_count"),
		{name: "event_time", kind: kindTime, typ: "type.googleapis.com/google.protobuf.Timestamp"},
		{name: "vibrate_timings", kind: kindDurations, typ: "type.googleapis.com/google.protobuf.Duration"},
		enumField("notification_priority", "AndroidNotification.NotificationPriority",
			"PRIORITY_UNSPECIFIED", "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX"),
		enumField("visibility", "AndroidNotification.Visibility", "VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
		messageField("light_settings", newSchema("LightSettings",
			durationField("light_on_duration", slotNone), durationField("light_off_duration", slotNone),
			messageField("color", newSchema("Color", floatField("red"), floatField("green"), floatField("blue"), floatField("alpha"))))),
	})

func floatField(name string) field { return field{name: name, kind: kindFloat, typ: "TYPE_FLOAT"} }
