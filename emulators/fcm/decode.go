package fcm

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// violation is one fault of a request, as google.rpc.BadRequest carries it.
type violation struct {
	Field       string `json:"field,omitempty"`
	Description string `json:"description,omitempty"`
}

// maxViolations bounds an answer; Google's own are cut, too.
const maxViolations = 50

// decoded is a request as far as judging and remembering it needs.
type decoded struct {
	validateOnly bool
	length       int    // of the request, bytes
	raw          string // the message object
	values       [slots]string
	sizes        [slots]int // of everything that went to a slot: names and values, bytes
	target       string     // the target field that is set: token, fid, topic, condition
	mailing      string     // data.mailing_id
	customer     string     // data.customer_id
	reserved     string     // a data key that FCM keeps for itself
	reservedAt   string     // and the field it stood in
	labels       []string
	headerTTL    string // of webpush.headers
	faults       []violation
}

// decoder reads one request, once, along the schema.
type decoder struct {
	scanner
	decoded
	path []byte // of the field at hand, for faults: message.data[0].value
}

// decode reads a request's body. Faults of the fields are in the result, a
// text that is no JSON is the error.
func decode(body string) (*decoded, error) {
	d := &decoder{scanner: scanner{text: body}, decoded: decoded{length: len(body)}}
	if !utf8.ValidString(body) {
		return nil, &syntaxError{}
	}
	if d.ended() {
		return &d.decoded, nil
	}

	d.object(request, true)
	if d.err == nil && !d.ended() {
		d.fail()
	}
	if d.err != nil {
		return nil, d.err
	}

	return &d.decoded, nil
}

// object reads the fields of a message.
func (d *decoder) object(m *schema, top bool) {
	if !d.enter('{') {
		return
	}
	for first := true; d.more(first, '}'); first = false {
		name := d.key()
		f := m.fields[name]
		if f == nil {
			d.unknown(name, "Cannot find field.")
			d.skip()
			continue
		}
		d.member(f, top)
	}
}

// member reads the value of a known field.
func (d *decoder) member(f *field, top bool) {
	if d.peek() == 'n' {
		d.scalar() // null: the field is absent
		return
	}

	mark := d.push(f.name)
	start := d.pos
	if f.kind == kindMessage && f.slot != slotNone {
		d.sizes[f.slot]++ // present, even if it is empty
	}

	d.value(f)
	d.path = d.path[:mark]
	if top && f.kind == kindMessage {
		d.raw = d.text[start:d.pos]
	}
	if top && f.kind == kindBool {
		d.validateOnly = strings.Trim(d.text[start:d.pos], `"`) == "true"
	}
}

func (d *decoder) push(name string) (mark int) {
	mark = len(d.path)
	if mark > 0 {
		d.path = append(d.path, '.')
	}
	d.path = append(d.path, name...)
	return mark
}

// value reads a value of any kind but null.
func (d *decoder) value(f *field) {
	c := d.peek()
	switch f.kind {
	case kindMessage:
		switch c {
		case '{':
			d.object(f.message, false)
			return
		case '[':
			d.notRepeating(f)
			return
		}
	case kindMap:
		switch c {
		case '{':
			d.pairs(f)
			return
		case '[':
			d.skip()
			d.fault("Invalid value at '"+string(d.path)+"' (Map), Cannot bind a list to map for field '"+f.name+"'.", "")
			return
		}
	case kindStruct:
		switch c {
		case '{':
			d.sizes[f.slot] += d.skip()
			return
		case '[':
			d.notRepeating(f)
			return
		}
	case kindStrings, kindDurations:
		if c == '[' {
			d.list(f)
			return
		}
	default:
		d.single(f, c)
		return
	}

	d.wrong(f)
}

// single reads a value that is neither object nor list.
func (d *decoder) single(f *field, c byte) {
	switch {
	case c == '[':
		d.notRepeating(f)
	case c == '{':
		d.fault("Invalid value at '"+string(d.path)+"' ("+f.typ+"), Starting an object on a scalar field", "")
		d.skip()
	case c == '"':
		start := d.pos
		d.quoted(f, d.str(), start)
	default:
		start := d.pos
		v := d.scalar()
		if !f.takesScalar(v) {
			d.fault(d.invalid(f), d.text[start:d.pos])
		}
	}
}

// notRepeating refuses a list for a field that takes one value. FCM blames the
// message that the field stands in; the path is cut to it.
func (d *decoder) notRepeating(f *field) {
	d.path = d.path[:max(0, len(d.path)-len(f.name)-1)]
	d.unknown(f.name, "Proto field is not repeating, cannot start list.")
	d.skip()
}

// quoted takes a string for a field that is not a list.
func (d *decoder) quoted(f *field, v string, start int) {
	if why := f.takesString(v); why != "" {
		if why == isWrong {
			why = d.text[start:d.pos]
		}
		d.fault(d.invalid(f), why)
		return
	}
	if f.slot != slotNone {
		d.keep(f, v)
	}
}

// keep stores what the judging needs of a string.
func (d *decoder) keep(f *field, v string) {
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

// pairs reads a map of strings to strings.
func (d *decoder) pairs(f *field) {
	if !d.enter('{') {
		return
	}
	index := 0
	for ; d.more(index == 0, '}'); index++ {
		key := d.key()
		if d.peek() != '"' {
			mark := len(d.path)
			d.path = append(strconv.AppendInt(append(d.path, '['), int64(index), 10), "].value"...)
			d.wrong(f)
			d.path = d.path[:mark]
			continue
		}
		d.pair(f, key, d.str())
	}
}

func (d *decoder) pair(f *field, key, value string) {
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
		d.guard(key)
	case slotAndroidData:
		d.guard(key)
	}
}

// guard remembers the first data key that FCM keeps for itself.
func (d *decoder) guard(key string) {
	if d.reserved == "" && (key == "from" || key == "message_type" ||
		strings.HasPrefix(key, "google.") || strings.HasPrefix(key, "gcm.")) {
		d.reserved, d.reservedAt = key, string(d.path)
	}
}

// list reads a list of strings.
func (d *decoder) list(f *field) {
	if !d.enter('[') {
		return
	}
	for index := 0; d.more(index == 0, ']'); index++ {
		mark := len(d.path)
		d.path = append(strconv.AppendInt(append(d.path, '['), int64(index), 10), ']')
		if d.peek() != '"' {
			d.wrong(f)
		} else if v := d.str(); f.kind == kindDurations && !isDuration(v) {
			d.fault(d.invalid(f), wrongDuration)
		} else {
			d.sizes[f.slot] += len(v)
		}
		d.path = d.path[:mark]
	}
}

// wrong skips a value of a type that the field does not have, and says so.
func (d *decoder) wrong(f *field) {
	start := d.pos
	d.skip()
	d.fault(d.invalid(f), d.text[start:d.pos])
}

func (d *decoder) invalid(f *field) string {
	return "Invalid value at '" + string(d.path) + "' (" + f.typ + "), "
}

func (d *decoder) fault(text, value string) {
	if len(value) > 200 {
		value = strings.ToValidUTF8(value[:200], "") + "…"
	}
	if len(d.faults) < maxViolations {
		d.faults = append(d.faults, violation{Field: string(d.path), Description: text + value})
	}
}

// unknown is the fault of a name that cannot stand where it stands.
func (d *decoder) unknown(name, why string) {
	at := ""
	if len(d.path) > 0 {
		at = " at '" + string(d.path) + "'"
	}
	d.fault("Invalid JSON payload received. Unknown name "+strconv.Quote(name)+at+": "+why, "")
}
