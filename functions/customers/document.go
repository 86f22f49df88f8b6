package customers

import "carillon.example/shared/api"

const (
	tokensTag    = "tokens"
	profilesTag  = "profiles"
	settingsTag  = "settings"
	transfersTag = "transfers"
	reportsTag   = "reports"
)

// documentation is the part of the OpenAPI document that is not in the code.
var documentation = api.Documentation{
	Description: "Customers, their push tokens, and whether push reaches them. A customer is known by the retailer's own id, percent-encoded in paths. " +
		"Errors are problem+json (RFC 9457) and name every fault with its place.",
	SecurityName: "invoker", Security: api.Invoker(),
	Tags: map[string]string{
		tokensTag:    "Register and remove push tokens.",
		profilesTag:  "The data of a customer.",
		settingsTag:  "The defaults of all mailings.",
		reportsTag:   "What phones did with mailings and messages.",
		transfersTag: "Many customers in one request.",
	},
	Operations: map[string]api.OperationDoc{
		"register-token": {Tag: tokensTag, Description: "Registers a token, refreshes a known one (200), makes an invalid one valid again, or moves it from another customer.",
			Example: map[string]any{"token": "a-registration-token", "platform": "android", "app": "shop"}, Statuses: []int{200}},
		"unregister-token": {Tag: tokensTag, Description: "Removes one token of a customer, by the id in the answer to its registration."},
		"show-customer":    {Tag: profilesTag, Description: "Profile, tokens without their values, and whether push reaches the customer."},
		"list-customer-messages": {Tag: profilesTag, Description: "The mailings that were sent to the customer, the newest first, and what became of each token; 30 days longer than a mailing's lifetime. " +
			"A page searches `pageSize` mailings and leaves out those that the customer was not in."},
		"change-customer": {Tag: profilesTag, Description: "A JSON merge patch (RFC 7396): members that it does not name stay, null removes. An unknown customer is created.",
			Example: map[string]any{"optedOut": false, "segments": []any{"riga"}, "attributes": map[string]any{"first_name": "Anna"}}},
		"erase-customer": {Tag: profilesTag, Description: "Deletes all data of a customer. To erase an unknown customer is not an error."},
		"report-events": {Tag: reportsTag, Description: "At most 100 events. Each type counts once for each mailing or message and token, whenever it comes, until 28 days after the mailing's lifetime; " +
			"repeat a request that failed. A request with a faulty event counts nothing.",
			Example: map[string]any{"events": []any{map[string]any{"mailing": "m4o1l3", "customer": "anna", "token": "a-registration-token", "type": "opened", "at": "2026-11-24T09:30:00Z"}}}},
		"show-stats":    {Tag: transfersTag, Description: "How many customers push could reach, day by day: all, reachable, opted out, and by platform. Without days the last 90."},
		"show-settings": {Tag: settingsTag, Description: "The settings."},
		"change-settings": {Tag: settingsTag, Description: "Replaces the settings. Mailings that start later use them.",
			Example: map[string]any{"devices": "latest"}},
		"import-customers": {Tag: transfersTag, Description: "At most 5,000 lines. In NDJSON each is a customer: `id`, `tokens` and what PATCH takes. In CSV the first names the columns, and each other one is a customer with one token at most: " +
			columnNames + ". An empty cell changes nothing; segments are separated by `|`. A faulty line stores nothing and does not affect the others. The body may be compressed by gzip."},
		"export-availability": {Tag: transfersTag, Description: "One customer a line, always in the same order. If an answer breaks off, continue with `after`. In CSV an apostrophe precedes a text that a spreadsheet would take for a formula."},
	},
}
