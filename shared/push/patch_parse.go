package push

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ParsePatch reads the members of a JSON object at a place, as in "body", and returns
// every fault.
func ParsePatch(members map[string]json.RawMessage, at string) (CustomerPatch, Faults) {
	var p CustomerPatch
	var f Faults
	for _, name := range slices.Sorted(maps.Keys(members)) {
		raw, where := members[name], at+"."+name
		null := string(raw) == "null"
		switch name {
		case "segments":
			p.parseSegments(&f, raw, null, where)
		case "attributes":
			p.parseAttributes(&f, raw, null, where)
		case "optedOut":
			p.OptedOut = new(bool)
			decodeInto(&f, raw, p.OptedOut, where, "must be true or false")
		case "categories":
			p.parseCategories(&f, raw, null, where)
		case "timeZone":
			p.TimeZone = new(string)
			if decodeInto(&f, raw, p.TimeZone, where, "must be a text") && *p.TimeZone != "" && !isTimeZone(*p.TimeZone) {
				f.add(where, "must be a time zone of the IANA database, as Europe/Riga")
			}
		default:
			f.add(at, "has a field that is not known: %s", Truncate(name, 60))
		}
	}

	return p, f
}

// decodeInto decodes a JSON value, and reports whether it has the type of into. If not, it
// adds a fault with the text why.
func decodeInto(f *Faults, raw json.RawMessage, into any, at, why string) bool {
	if json.Unmarshal(raw, into) != nil {
		f.add(at, "%s", why)
		return false
	}
	return true
}

// parseSegments reads a list, which replaces all segments, or an object with those to
// add and to remove.
func (p *CustomerPatch) parseSegments(f *Faults, raw json.RawMessage, null bool, at string) {
	if null {
		p.Segments = &[]string{}
		return
	}
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		list := parseNames(f, raw, at)
		p.Segments = &list
		return
	}

	var members map[string]json.RawMessage
	if !decodeInto(f, raw, &members, at, "must be an object of add and remove") {
		return
	}

	for _, name := range slices.Sorted(maps.Keys(members)) {
		switch name {
		case "add":
			p.Add = parseNames(f, members[name], at+".add")
		case "remove":
			p.Remove = parseNames(f, members[name], at+".remove")
		default:
			f.add(at, "has a field that is not known: %s; it is a list, or has add and remove", Truncate(name, 60))
		}
	}
	for _, name := range p.Add {
		if slices.Contains(p.Remove, name) {
			f.add(at, "adds and removes %q", Truncate(name, 60))
		}
	}
}

// parseNames reads a list of segments, sorted and each once.
func parseNames(f *Faults, raw json.RawMessage, at string) []string {
	list := []string{}
	if !decodeInto(f, raw, &list, at, "must be a list of texts") {
		return list
	}
	if len(list) > MaxCustomerSegments {
		f.add(at, "has %d segments; at most %d are allowed", len(list), MaxCustomerSegments)
		return list
	}

	for i, s := range list {
		checkName(f, fmt.Sprintf("%s[%d]", at, i), s)
	}

	slices.Sort(list)
	return slices.Compact(list)
}

func (p *CustomerPatch) parseCategories(f *Faults, raw json.RawMessage, null bool, at string) {
	if p.noCategories = null; null {
		return
	}
	if !decodeInto(f, raw, &p.Categories, at, "must be an object of true, false and null") {
		return
	}
	if len(p.Categories) > MaxCategories {
		f.add(at, "has %d categories; at most %d are allowed", len(p.Categories), MaxCategories)
		return
	}

	for _, name := range slices.Sorted(maps.Keys(p.Categories)) {
		checkKey(f, at, name)
	}
}

func (p *CustomerPatch) parseAttributes(f *Faults, raw json.RawMessage, null bool, at string) {
	if p.noAttributes = null; null {
		return
	}

	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&p.Attributes) != nil {
		f.add(at, "must be an object")
		return
	}
	if len(p.Attributes) > MaxAttributes {
		f.add(at, "has %d attributes; at most %d are allowed", len(p.Attributes), MaxAttributes)
		return
	}
	if len(raw) > 2*MaxAttributeBytes {
		f.add(at, "is %d bytes long; at most %d are allowed", len(raw), MaxAttributeBytes)
		return
	}

	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		checkKey(f, at, name)
		p.Attributes[name] = storableValue(f, p.Attributes[name], at+"."+Truncate(name, 60), 1, false)
	}
}

// checkKey finds faults of a key: Firestore does not accept it, or it cannot be
// written.
func checkKey(f *Faults, at, name string) {
	if why := CheckName(name); why != "" {
		f.add(at, "has the key %q, which %s", Truncate(name, 60), why)
	} else if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		f.add(at, "has the key %q; names like this are Firestore's own", Truncate(name, 60))
	}
}

// storableValue returns a JSON value as Firestore stores it: whole numbers differ from
// others, and a list cannot be directly in a list.
func storableValue(f *Faults, v any, at string, depth int, listed bool) any {
	switch x := v.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n
		}
		n, err := x.Float64()
		switch {
		case err != nil:
			f.add(at, "is a number too large")
		case !strings.ContainsAny(x.String(), ".eE"):
			f.add(at, "is a whole number of more than 64 bits, of which digits would be lost; write it as a text")
		case n == 0 && strings.ContainsAny(withoutExponent(x.String()), "123456789"):
			f.add(at, "is a number too small")
		}
		return n
	case string:
		if strings.ContainsRune(x, 0) {
			f.add(at, "has a NUL character")
		}
	case []any:
		if listed || depth > maxAttributeDepth {
			f.add(at, "is a list in a list, or nested deeper than %d", maxAttributeDepth)
			return nil
		}
		for i := range x {
			x[i] = storableValue(f, x[i], fmt.Sprintf("%s[%d]", at, i), depth+1, true)
		}
	case map[string]any:
		if depth > maxAttributeDepth {
			f.add(at, "is nested deeper than %d", maxAttributeDepth)
			return nil
		}
		for k := range x {
			checkKey(f, at, k)
			x[k] = storableValue(f, x[k], at+"."+Truncate(k, 60), depth+1, false)
		}
	}

	return v
}

// withoutExponent is a number without its exponent.
func withoutExponent(number string) string {
	if at := strings.IndexAny(number, "eE"); at >= 0 {
		return number[:at]
	}
	return number
}

// knownZones caches the names of time zones that were found, because to load a zone reads a
// file. It is a sync.Map, because many requests use it at the same time. About 600 names
// exist, so it stays small.
var knownZones sync.Map

// isTimeZone reports whether the IANA database has a time zone with that name.
func isTimeZone(name string) bool {
	if _, ok := knownZones.Load(name); ok {
		return true
	}
	if name == "Local" {
		return false
	}
	if _, err := time.LoadLocation(name); err != nil {
		return false
	}
	knownZones.Store(name, true)
	return true
}

// CheckTimeZone returns the fault of the name of a time zone, "" if there is none. An
// empty name has no fault.
func CheckTimeZone(name string) string {
	if name == "" || isTimeZone(name) {
		return ""
	}
	return "must be a time zone of the IANA database, as Europe/Riga"
}
