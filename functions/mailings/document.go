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
		"and `GET /v1/mailings/{id}` says what became of every customer and every push token. Errors are problem+json (RFC 9457) and name every fault with its place.",
	SecurityName: "invoker", Security: api.Invoker(),
	Tags: map[string]string{
		sendTag:    "Create mailings, and pause, resume or cancel them.",
		readTag:    "What became of mailings.",
		flagTag:    "The push tokens that a mailing marked invalid.",
		messageTag: "Messages to one customer: triggers, sent at once in a lane of their own.",
	},
	Operations: map[string]api.OperationDoc{
		"create-mailing": {Tag: sendTag, Description: "Records the mailing and starts it, or keeps it until `sendAt`. FCM judges the payload first. " +
			"With an `Idempotency-Key` a second try answers the first mailing and sends nothing twice.",
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
		"list-recipients": {Tag: readTag, Description: "A line for each token that the mailing was for, until 30 days after the mailing's lifetime. If an answer breaks off, drop the lines of its last batch, which may not be whole, and go on with `after` and the batch before."},
		"list-mailings":   {Tag: readTag, Description: "Mailings in pages, the newest first."},
		"show-mailing":    {Tag: readTag, Description: "The mailing as it was handed in, its state, and its sums: every matched customer is targeted or excluded, every targeted token has one result."},
		"cancel-mailing":  {Tag: sendTag, Description: "Ends the mailing. What FCM has accepted cannot be taken back; what is not sent yet is counted as cancelled."},
		"pause-mailing":   {Tag: sendTag, Description: "Nothing more is sent until the mailing is resumed. Its lifetime goes on."},
		"resume-mailing":  {Tag: sendTag, Description: "A paused mailing goes on from where it was."},
		"flag-held-mailing": {Tag: flagTag, Description: "Some tokens answered invalid while FCM's answers could not be believed, and their flags are held. " +
			"This flags them, and those that the mailing still finds."},
		"drop-held-mailing":   {Tag: flagTag, Description: "The same tokens are valid: none of the held flags is set, nor any that the mailing still finds."},
		"list-invalid-tokens": {Tag: flagTag, Description: "The tokens that this mailing marked invalid, in pages, each with FCM's code."},
		"send-message": {Tag: messageTag, Description: "Accepts a message to one customer, by the customer's id or a push token, and sends it at once, with the same exclusions, results and flags as a mailing. " +
			"Templates may use `customer` and `values`. With `wait` the answer is 200 with the result if it comes in time, else 202. With an `Idempotency-Key` a second try answers the first message and sends nothing twice. " +
			"A change of the settings counts after two seconds.",
			Example: map[string]any{
				"customer": "c1",
				"message":  map[string]any{"notification": map[string]any{"title": "+{{ values.points }} points", "body": "Thank you, {{ customer.first_name | default: 'there' }}"}},
				"values":   map[string]any{"points": 50},
				"category": "points",
			}},
		"send-messages": {Tag: messageTag, Description: "Accepts up to 500 messages. Each is accepted or refused by itself, and has its own result, in their order. " +
			"With an `Idempotency-Key` a second try of the same list sends nothing twice.",
			Example: map[string]any{"messages": []any{
				map[string]any{"customer": "c1", "message": map[string]any{"notification": map[string]any{"title": "Your order is ready"}}},
				map[string]any{"customer": "c2", "message": map[string]any{"notification": map[string]any{"title": "Your order is ready"}}},
			}}},
		"show-message": {Tag: messageTag, Description: "The state of a message, why its customer was left out, and the result of each token. Kept for 30 days."},
		"unflag":       {Tag: flagTag, Description: "Makes the tokens valid again that this mailing marked invalid, and nobody since."},
	},
	Schemas: schemas,
}
