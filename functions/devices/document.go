package devices

import "carillon.example/shared/api"

const devicesTag = "devices"

// documentation is the part of the OpenAPI document that is not in the code.
var documentation = api.Documentation{
	Description: "Apps register the push token of the customer who is signed in, and remove it. Only the Firebase Auth ID token says which customer that is. " +
		"Errors are problem+json (RFC 9457) and name every fault with its place.",
	SecurityName: "idToken",
	Security:     map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "a Firebase Auth ID token"},
	Tags:         map[string]string{devicesTag: "The caller's own push tokens."},
	Operations: map[string]api.OperationDoc{
		"register-device": {Tag: devicesTag, Description: "Registers the caller's token, or refreshes it (200). Call it at each start of the app. An App Check token goes into `X-Firebase-AppCheck`.",
			Example: map[string]any{"token": "a-registration-token", "platform": "android", "app": "shop"}, Statuses: []int{200}},
		"report-device-events": {Tag: devicesTag, Description: "At most 100 events of the caller's own phones. Each type counts once for each mailing or message and token, whenever it comes; repeat a request that failed.",
			Example: map[string]any{"events": []any{map[string]any{"mailing": "m4o1l3", "token": "a-registration-token", "type": "opened", "at": "2026-11-24T09:30:00Z"}}}},
		"unregister-device": {Tag: devicesTag, Description: "Removes the caller's token, by the id in the answer to its registration."},
	},
}
