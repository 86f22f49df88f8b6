package mailings

import "carillon.example/shared/api"

const (
	sendTag    = "sending"
	readTag    = "looking"
	flagTag    = "flags"
	messageTag = "messages"
)

// documentation is the part of the OpenAPI document that is not in the code.
var documentation = api.Documentation{
	Description: "Mailings: one message to many customers. `POST /v1/mailings` answers at once; the mailing is sent in the background, " +
		"and `GET /v1/mailings/{id}` has the sums of customers and push tokens by result. Errors are problem+json (RFC 9457) and name every fault with its place.",
	SecurityName: "invoker", Security: api.Invoker(),
	Tags: map[string]string{
		sendTag:    "Create mailings, and pause, resume or cancel them.",
		readTag:    "The state and the results of mailings.",
		flagTag:    "The push tokens that a mailing flagged.",
		messageTag: "Messages to one customer, sent at once in a lane of their own.",
	},
	Operations: map[string]api.OperationDoc{
		"create-mailing": {Tag: sendTag, Description: "Records the mailing and starts it, or keeps it until `sendAt`. FCM validates the payload first. " +
			"A repeated request with the same `Idempotency-Key` gets the same answer and sends nothing twice.",
			Example: map[string]any{
				"message":  map[string]any{"notification": map[string]any{"title": "Spring sale", "body": "Hi {{ customer.first_name | default: 'there' }}"}},
				"link":     "https://shop.example/sale",
				"audience": map[string]any{"segments": map[string]any{"any": []any{"riga"}}},
				"lifetime": "48h",
			}},
		"preview-mailing": {Tag: sendTag, Description: "Shows what a mailing would send, to about how many customers, in how many seconds and for how many dollars. It stores and sends nothing. " +
			"The numbers are estimates from a sample of 200 customers of the audience; those of a smaller audience are exact.",
			Example: map[string]any{
				"message":  map[string]any{"notification": map[string]any{"title": "Spring sale", "body": "Hi {{ customer.first_name }}"}},
				"audience": map[string]any{"segments": map[string]any{"any": []any{"riga"}}},
				"customer": "c1",
			}},
		"list-recipients": {Tag: readTag, Description: "A line for each token that the mailing was for, until 30 days after the mailing's lifetime. If an answer breaks off, drop the lines of its last batch, which may be incomplete, and continue with `after` and the batch before."},
		"show-timeline":   {Tag: readTag, Description: "How many tokens FCM answered in each step of time, how many it accepted, how often it limited the rate, and when the mailing was paused. Costs one Firestore read for each batch of up to 1,000 tokens. There are no points once the batches are deleted, 30 days after the mailing's lifetime."},
		"list-mailings":   {Tag: readTag, Description: "Mailings in pages, the newest first."},
		"show-mailing":    {Tag: readTag, Description: "The draft of the mailing, its state, and its sums: every matched customer is targeted or excluded, every targeted token has one result."},
		"cancel-mailing":  {Tag: sendTag, Description: "Ends the mailing. What FCM has accepted cannot be stopped any more; what is not sent yet counts as cancelled."},
		"pause-mailing":   {Tag: sendTag, Description: "Nothing more is sent until the mailing is resumed. Its lifetime does not stop."},
		"resume-mailing":  {Tag: sendTag, Description: "The mailing continues where it was paused."},
		"flag-held-mailing": {Tag: flagTag, Description: "FCM called some tokens invalid while its answers were not plausible, so their flags are held. " +
			"This sets the held flags, and those that the mailing still finds."},
		"drop-held-mailing":   {Tag: flagTag, Description: "The tokens are valid: the held flags are dropped, and also those that the mailing still finds."},
		"list-invalid-tokens": {Tag: flagTag, Description: "The tokens that this mailing flagged, in pages, each with FCM's code."},
		"send-message": {Tag: messageTag, Description: "Accepts a message to one customer, by the customer's id or a push token, and sends it at once, with the same exclusions, results and flags as a mailing. " +
			"Templates may use `customer` and `values`. With `wait` the answer is 200 with the result if it comes in time, else 202. A repeated request with the same `Idempotency-Key` gets the same message and sends nothing twice. " +
			"A change of the settings takes effect after two seconds.",
			Example: map[string]any{
				"customer": "c1",
				"message":  map[string]any{"notification": map[string]any{"title": "+{{ values.points }} points", "body": "Thank you, {{ customer.first_name | default: 'there' }}"}},
				"values":   map[string]any{"points": 50},
				"category": "points",
			}},
		"send-messages": {Tag: messageTag, Description: "Accepts up to 500 messages. Each is accepted or refused by itself, and has its own result, in their order. " +
			"A repeated request with the same `Idempotency-Key` and list sends nothing twice.",
			Example: map[string]any{"messages": []any{
				map[string]any{"customer": "c1", "message": map[string]any{"notification": map[string]any{"title": "Your order is ready"}}},
				map[string]any{"customer": "c2", "message": map[string]any{"notification": map[string]any{"title": "Your order is ready"}}},
			}}},
		"show-message": {Tag: messageTag, Description: "The state of a message, why its customer was left out, and the result of each token. Kept for 30 days."},
		"unflag":       {Tag: flagTag, Description: "Removes the flags of this mailing, so that the tokens are valid again. Flags of other mailings stay."},
	},
	Schemas: schemas,
}
