package fcm

// kind is the form of the value of a field in JSON.
type kind uint8

const (
	kindString kind = iota
	kindBool
	kindInt32
	kindFloat
	kindDuration // "3.5s"
	kindTime     // RFC 3339
	kindEnum     // one of values, in any case
	kindMessage  // an object of the fields of message
	kindMap      // an object of strings
	kindStrings  // a list of strings
	kindDurations
	kindStruct // any object
)

// slot names the values and sizes that the validation of a message needs.
type slot uint8

const (
	slotNone slot = iota
	slotToken
	slotFID
	slotTopic
	slotCondition
	slotData
	slotNotification
	slotAndroid
	slotAndroidData
	slotAndroidPart   // the android object is present
	slotAndroidV2Part // the android_v2 object is present
	slotWebpush
	slotWebpushData
	slotWebpushHeaders
	slotAPNS
	slotTTL
	slotLabel
	slotTitle
	slotBody
	slots
)

// A field is one field of a message of the v1 API.
type field struct {
	name   string // in snake_case, as Google's faults name it
	kind   kind
	slot   slot
	typ    string   // the name of the type in a fault
	values []string // of an enum
	schema *schema  // of a message
}

// A schema is a message of the v1 API. It has its fields by both of their JSON names.
type schema struct {
	typ    string
	fields map[string]*field
}

const typePrefix = "type.googleapis.com/google.firebase.fcm.v1."

func newSchema(typ string, fields ...field) *schema {
	s := &schema{typ: typePrefix + typ, fields: map[string]*field{}}
	for i := range fields {
		f := &fields[i]
		s.fields[f.name] = f
		s.fields[camelCase(f.name)] = f
	}
	return s
}

// camelCase returns the JSON name of a proto field: collapseKey for collapse_key.
func camelCase(name string) string {
	out := make([]byte, 0, len(name))
	upper := false
	for i := range len(name) {
		c := name[i]
		if c == '_' {
			upper = true
			continue
		}
		if upper && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper = false
		out = append(out, c)
	}

	return string(out)
}

func stringField(name string, to slot) field { return field{name: name, typ: "TYPE_STRING", slot: to} }

func stringFields(to slot, names ...string) []field {
	var out []field
	for _, n := range names {
		out = append(out, stringField(n, to))
	}
	return out
}

func boolField(name string) field { return field{name: name, kind: kindBool, typ: "TYPE_BOOL"} }

func boolFields(names ...string) []field {
	var out []field
	for _, n := range names {
		out = append(out, boolField(n))
	}
	return out
}

func intField(name string) field { return field{name: name, kind: kindInt32, typ: "TYPE_INT32"} }

func stringsField(name string, to slot) field {
	return field{name: name, kind: kindStrings, typ: "TYPE_STRING", slot: to}
}

func mapField(name string, to slot) field {
	return field{name: name, kind: kindMap, typ: "TYPE_STRING", slot: to}
}

func structField(name string, to slot) field {
	return field{name: name, kind: kindStruct, typ: "type.googleapis.com/google.protobuf.Struct", slot: to}
}

func durationField(name string, to slot) field {
	return field{name: name, kind: kindDuration, typ: "type.googleapis.com/google.protobuf.Duration", slot: to}
}

func enumField(name, typ string, values ...string) field {
	return field{name: name, kind: kindEnum, typ: typePrefix + typ, values: values}
}

func messageField(name string, m *schema) field {
	return field{name: name, kind: kindMessage, typ: m.typ, schema: m}
}

// messagePartField returns the field of a message whose presence the validation needs.
func messagePartField(name string, m *schema, to slot) field {
	f := messageField(name, m)
	f.slot = to
	return f
}

func joinFields(parts ...[]field) []field {
	var out []field
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
