package mailings

import "carillon.example/shared/push"

// schemas are the schemas that are not in the code.
var schemas = map[string]map[string]any{
	"Message": {
		"type": "object", "description": "FCM v1's message object without a target. FCM validates it: fields that are not named here are passed on too.",
		"additionalProperties": true,
		"properties": map[string]any{
			"notification": map[string]any{"type": "object", "additionalProperties": true, "properties": map[string]any{
				"title": textSchema, "body": textSchema, "image": map[string]any{"type": "string", "format": "uri"},
			}},
			"data":    map[string]any{"type": "object", "additionalProperties": textSchema},
			"android": anyObjectSchema, "apns": anyObjectSchema, "webpush": anyObjectSchema,
		},
	},
	"Draft.message":        {"$ref": schemaPrefix + "Message"},
	"MessageDraft.message": {"$ref": schemaPrefix + "Message"},
	"MailingBody.message":  {"$ref": schemaPrefix + "Message"},

	"AudienceEveryone":  audienceSchema("everyone", "every customer", map[string]any{"type": "boolean", "const": true}),
	"AudienceSegments":  audienceSchema("segments", "customers by their segments", map[string]any{"$ref": schemaPrefix + "Segments"}),
	"AudienceCustomers": audienceSchema("customers", "customers by their ids, at most 10,000", textListSchema),
	"AudienceTokens":    audienceSchema("tokens", "registered push tokens, at most 10,000", textListSchema),
	// A mailing's answer may leave its list out, and keeps the wider Audience.
	"Draft.audience": {"description": "who gets the mailing", "oneOf": []any{
		map[string]any{"$ref": schemaPrefix + "AudienceEveryone"}, map[string]any{"$ref": schemaPrefix + "AudienceSegments"},
		map[string]any{"$ref": schemaPrefix + "AudienceCustomers"}, map[string]any{"$ref": schemaPrefix + "AudienceTokens"},
	}},
}

const schemaPrefix = "#/components/schemas/"

var (
	textSchema      = map[string]any{"type": "string"}
	textListSchema  = map[string]any{"type": "array", "items": textSchema, "maxItems": push.MaxListed}
	anyObjectSchema = map[string]any{"type": "object", "additionalProperties": true}
)

// audienceSchema is the schema of one kind of audience: it has that property and no other.
func audienceSchema(property, description string, schema map[string]any) map[string]any {
	return map[string]any{"type": "object", "description": description, "additionalProperties": false,
		"required": []any{property}, "properties": map[string]any{property: schema}}
}
