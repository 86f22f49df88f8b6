package mailings

// schemas are the schemas that are not in the code.
var schemas = map[string]map[string]any{
	"Message": {
		"type": "object", "description": "FCM v1's message object without a target. FCM is its judge: fields that are not named here pass, too.",
		"additionalProperties": true,
		"properties": map[string]any{
			"notification": map[string]any{"type": "object", "additionalProperties": true, "properties": map[string]any{
				"title": text, "body": text, "image": map[string]any{"type": "string", "format": "uri"},
			}},
			"data":    map[string]any{"type": "object", "additionalProperties": text},
			"android": anything, "apns": anything, "webpush": anything,
		},
	},
	"Draft.message":        {"$ref": component + "Message"},
	"MessageDraft.message": {"$ref": component + "Message"},
	"MailingBody.message":  {"$ref": component + "Message"},

	"AudienceEveryone":  audience("everyone", "every customer", map[string]any{"type": "boolean", "const": true}),
	"AudienceSegments":  audience("segments", "customers by their segments", map[string]any{"$ref": component + "Segments"}),
	"AudienceCustomers": audience("customers", "customers by their ids, at most 10,000", texts),
	"AudienceTokens":    audience("tokens", "registered push tokens, at most 10,000", texts),
	// A mailing's answer may leave its list out, and keeps the wider Audience.
	"Draft.audience": {"description": "who is rung", "oneOf": []any{
		map[string]any{"$ref": component + "AudienceEveryone"}, map[string]any{"$ref": component + "AudienceSegments"},
		map[string]any{"$ref": component + "AudienceCustomers"}, map[string]any{"$ref": component + "AudienceTokens"},
	}},
}

const component = "#/components/schemas/"

var (
	text     = map[string]any{"type": "string"}
	texts    = map[string]any{"type": "array", "items": text, "maxItems": 10_000}
	anything = map[string]any{"type": "object", "additionalProperties": true}
)

// audience is the schema of one kind of audience: it has that property and no other.
func audience(property, description string, schema map[string]any) map[string]any {
	return map[string]any{"type": "object", "description": description, "additionalProperties": false,
		"required": []any{property}, "properties": map[string]any{property: schema}}
}
