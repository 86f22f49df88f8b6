package fcm

// kind is how a field's value is written in JSON.
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

// slot names the values and sizes that the judging of a message needs.
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

// field is one field of a message of the v1 API.
type field struct {
	name    string // as Google's faults call it: snake_case
	kind    kind
	slot    slot
	typ     string   // the type as a fault names it
	values  []string // of an enum
	message *schema  // of a message
}

// schema is a message of the v1 API: its fields by both of their JSON names.
type schema struct {
	typ    string
	fields map[string]*field
}

const typePrefix = "type.googleapis.com/google.firebase.fcm.v1."

func message(typ string, fields ...field) *schema {
	s := &schema{typ: typePrefix + typ, fields: map[string]*field{}}
	for i := range fields {
		f := &fields[i]
		s.fields[f.name] = f
		s.fields[camel(f.name)] = f
	}
	return s
}

// camel is the JSON name of a proto field: collapse_key, collapseKey.
func camel(name string) string {
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

func text(name string, to slot) field { return field{name: name, typ: "TYPE_STRING", slot: to} }

func texts(to slot, names ...string) []field {
	var out []field
	for _, n := range names {
		out = append(out, text(n, to))
	}
	return out
}

func flag(name string) field { return field{name: name, kind: kindBool, typ: "TYPE_BOOL"} }

func flags(names ...string) []field {
	var out []field
	for _, n := range names {
		out = append(out, flag(n))
	}
	return out
}

func number(name string) field { return field{name: name, kind: kindInt32, typ: "TYPE_INT32"} }

func list(name string, to slot) field {
	return field{name: name, kind: kindStrings, typ: "TYPE_STRING", slot: to}
}

func pairs(name string, to slot) field {
	return field{name: name, kind: kindMap, typ: "TYPE_STRING", slot: to}
}

func free(name string, to slot) field {
	return field{name: name, kind: kindStruct, typ: "type.googleapis.com/google.protobuf.Struct", slot: to}
}

func lasting(name string, to slot) field {
	return field{name: name, kind: kindDuration, typ: "type.googleapis.com/google.protobuf.Duration", slot: to}
}

func enum(name, typ string, values ...string) field {
	return field{name: name, kind: kindEnum, typ: typePrefix + typ, values: values}
}

func sub(name string, m *schema) field {
	return field{name: name, kind: kindMessage, typ: m.typ, message: m}
}

// part is a message whose presence matters to the judging.
func part(name string, m *schema, to slot) field {
	f := sub(name, m)
	f.slot = to
	return f
}

func join(parts ...[]field) []field {
	var out []field
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
