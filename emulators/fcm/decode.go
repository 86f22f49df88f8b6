package fcm

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A violation is one fault of a request, in the form of google.rpc.BadRequest.
type violation struct {
	Field       string `json:"field,omitempty"`
	Description string `json:"description,omitempty"`
}

// maxViolations limits the faults of an answer. Google also cuts its answers.
const maxViolations = 50

// decoded has what is needed of a request to validate and to store it.
type decoded struct {
	validateOnly bool
	length       int    // of the request, in bytes
	raw          string // the message object
	values       [slots]string
	sizes        [slots]int // of all names and values of a slot, in bytes
	target       string     // the name of the target field that is set: token, fid, topic or condition; "": none
	mailing      string     // data.mailing_id
	customer     string     // data.customer_id
	reserved     string     // the first data key that is reserved for FCM
	reservedAt   string     // the path of the field that has the reserved key
	labels       []string
	headerTTL    string // of webpush.headers
	faults       []violation
}

// A decoder reads one request in one pass, guided by the schema.
type decoder struct {
	scanner
	decoded
	path []byte // of the current field, for faults: message.data[0].value
}

// decodeRequest reads the body of a request. Faults of fields are in the result. The
// error is for a text that is not JSON.
func decodeRequest(body string) (*decoded, error) {
	d := &decoder{scanner: scanner{text: body}, decoded: decoded{length: len(body)}}
	if !utf8.ValidString(body) {
		return nil, &syntaxError{}
	}
	if d.atEnd() {
		return &d.decoded, nil
	}

	d.readObject(request, true)
	if d.err == nil && !d.atEnd() {
		d.fail()
	}
	if d.err != nil {
		return nil, d.err
	}

	return &d.decoded, nil
}

// readObject reads the fields of a message. top is true for the request itself.
func (d *decoder) readObject(m *schema, top bool) {
	if !d.enter('{') {
		return
	}
	for first := true; d.nextMember(first, '}'); first = false {
		name := d.takeKey()
		f := m.fields[name]
		if f == nil {
			d.addUnknownName(name, "Cannot find field.")
			d.skipValue()
			continue
		}
		d.readMember(f, top)
	}
}

// readMember reads the value of a known field.
func (d *decoder) readMember(f *field, top bool) {
	if d.peek() == 'n' {
		d.takeScalar() // null means that the field is absent
		return
	}

	mark := d.pushPath(f.name)
	start := d.pos
	if f.kind == kindMessage && f.slot != slotNone {
		d.sizes[f.slot]++ // so that an empty message is present, too
	}

	d.readValue(f)
	d.path = d.path[:mark]
	if top && f.kind == kindMessage {
		d.raw = d.text[start:d.pos]
	}
	if top && f.kind == kindBool {
		d.validateOnly = strings.Trim(d.text[start:d.pos], `"`) == "true"
	}
}

// pushPath appends a field to the path and returns the length to which the caller cuts
// the path afterwards.
func (d *decoder) pushPath(name string) (mark int) {
	mark = len(d.path)
	if mark > 0 {
		d.path = append(d.path, '.')
	}
	d.path = append(d.path, name...)
	return mark
}

// readValue reads a value of any kind except null.
func (d *decoder) readValue(f *field) {
	c := d.peek()
	switch f.kind {
	case kindMessage:
		switch c {
		case '{':
			d.readObject(f.schema, false)
			return
		case '[':
			d.notRepeating(f)
			return
		}
	case kindMap:
		switch c {
		case '{':
			d.readMap(f)
			return
		case '[':
			d.skipValue()
			d.addFault("Invalid value at '"+string(d.path)+"' (Map), Cannot bind a list to map for field '"+f.name+"'.", "")
			return
		}
	case kindStruct:
		switch c {
		case '{':
			d.sizes[f.slot] += d.skipValue()
			return
		case '[':
			d.notRepeating(f)
			return
		}
	case kindStrings, kindDurations:
		if c == '[' {
			d.readList(f)
			return
		}
	default:
		d.readSingle(f, c)
		return
	}

	d.skipWrongType(f)
}

// readSingle reads a value for a field that takes neither an object nor a list. c is the
// first byte of the value.
func (d *decoder) readSingle(f *field, c byte) {
	switch {
	case c == '[':
		d.notRepeating(f)
	case c == '{':
		d.addFault("Invalid value at '"+string(d.path)+"' ("+f.typ+"), Starting an object on a scalar field", "")
		d.skipValue()
	case c == '"':
		start := d.pos
		d.checkString(f, d.takeString(), start)
	default:
		start := d.pos
		v := d.takeScalar()
		if !f.acceptsScalar(v) {
			d.addFault(d.invalidValueText(f), d.text[start:d.pos])
		}
	}
}

// notRepeating refuses a list for a field that takes one value. FCM names the message
// that contains the field, so the path is cut to that message.
func (d *decoder) notRepeating(f *field) {
	d.path = d.path[:max(0, len(d.path)-len(f.name)-1)]
	d.addUnknownName(f.name, "Proto field is not repeating, cannot start list.")
	d.skipValue()
}

// checkString checks a string for a field that is not a list, and stores it. start is
// the position of the string.
func (d *decoder) checkString(f *field, v string, start int) {
	if why := f.stringFault(v); why != "" {
		if why == isWrong {
			why = d.text[start:d.pos]
		}
		d.addFault(d.invalidValueText(f), why)
		return
	}
	if f.slot != slotNone {
		d.storeString(f, v)
	}
}

// storeString stores a string if the validation needs it.
func (d *decoder) storeString(f *field, v string) {
	d.sizes[f.slot] += len(f.name) + len(v)
	switch f.slot {
	case slotToken, slotFID, slotTopic, slotCondition:
		if d.target != "" && d.target != f.name {
			d.faults = append(d.faults, violation{Field: "message", Description: "Invalid value at 'message' (oneof), " +
				"oneof field 'target' is already set. Cannot set '" + f.name + "'"})
		}
		d.target = f.name
	case slotLabel:
		d.labels = append(d.labels, string(d.path), v)
	}
	d.values[f.slot] = v
}

// readMap reads a map of strings to strings.
func (d *decoder) readMap(f *field) {
	if !d.enter('{') {
		return
	}
	index := 0
	for ; d.nextMember(index == 0, '}'); index++ {
		key := d.takeKey()
		if d.peek() != '"' {
			mark := len(d.path)
			d.path = append(strconv.AppendInt(append(d.path, '['), int64(index), 10), "].value"...)
			d.skipWrongType(f)
			d.path = d.path[:mark]
			continue
		}
		d.storePair(f, key, d.takeString())
	}
}

// storePair stores what the validation needs of an entry of a map.
func (d *decoder) storePair(f *field, key, value string) {
	d.sizes[f.slot] += len(key) + len(value)
	switch f.slot {
	case slotWebpushHeaders:
		if strings.EqualFold(key, "ttl") {
			d.headerTTL, d.values[f.slot] = value, key
		}
	case slotData:
		switch key {
		case "mailing_id":
			d.mailing = value
		case "customer_id":
			d.customer = value
		}
		d.noteReservedKey(key)
	case slotAndroidData:
		d.noteReservedKey(key)
	}
}

// noteReservedKey stores the first data key that is reserved for FCM.
func (d *decoder) noteReservedKey(key string) {
	if d.reserved == "" && (key == "from" || key == "message_type" ||
		strings.HasPrefix(key, "google.") || strings.HasPrefix(key, "gcm.")) {
		d.reserved, d.reservedAt = key, string(d.path)
	}
}

// readList reads a list of strings.
func (d *decoder) readList(f *field) {
	if !d.enter('[') {
		return
	}
	for index := 0; d.nextMember(index == 0, ']'); index++ {
		mark := len(d.path)
		d.path = append(strconv.AppendInt(append(d.path, '['), int64(index), 10), ']')
		if d.peek() != '"' {
			d.skipWrongType(f)
		} else if v := d.takeString(); f.kind == kindDurations && !isDuration(v) {
			d.addFault(d.invalidValueText(f), wrongDuration)
		} else {
			d.sizes[f.slot] += len(v)
		}
		d.path = d.path[:mark]
	}
}

// skipWrongType skips a value whose type does not fit the field, and adds a fault.
func (d *decoder) skipWrongType(f *field) {
	start := d.pos
	d.skipValue()
	d.addFault(d.invalidValueText(f), d.text[start:d.pos])
}

func (d *decoder) invalidValueText(f *field) string {
	return "Invalid value at '" + string(d.path) + "' (" + f.typ + "), "
}

// addFault adds a fault of the current field. It shortens a long value.
func (d *decoder) addFault(text, value string) {
	if len(value) > 200 {
		value = strings.ToValidUTF8(value[:200], "") + "…"
	}
	if len(d.faults) < maxViolations {
		d.faults = append(d.faults, violation{Field: string(d.path), Description: text + value})
	}
}

// addUnknownName adds the fault of a name that is not allowed in the current message.
func (d *decoder) addUnknownName(name, why string) {
	at := ""
	if len(d.path) > 0 {
		at = " at '" + string(d.path) + "'"
	}
	d.addFault("Invalid JSON payload received. Unknown name "+strconv.Quote(name)+at+": "+why, "")
}
