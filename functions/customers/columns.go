package customers

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// listSeparator separates the texts of a cell that holds a list, as in the CSV
// export.
const listSeparator = "|"

// The parts of an import line that a column belongs to.
const (
	intoLine       = ""
	intoToken      = "tokens"
	intoAttributes = "attributes"
	intoCategories = "categories"
)

// A column of a CSV import. Its name is that of the field in an import line. Each
// attribute and category has its own column: attributes.NAME, categories.NAME.
type column struct {
	name string // as the header has it
	part string
	key  string // of the member there
}

const columnNames = "id (or customer), token, fid, platform, app, device, notifications, addedAt, seenAt, segments, optedOut, timeZone, attributes.NAME and categories.NAME"

// columnOf returns the column of a name, and whether there is one.
func columnOf(name string) (column, bool) {
	c := column{name: name, key: name}
	switch name {
	case "customer":
		c.key = "id"
		return c, true
	case "id", "segments", "optedOut", "timeZone":
		return c, true
	case "token", "fid", "platform", "app", "device", "notifications", "addedAt", "seenAt":
		c.part = intoToken
		return c, true
	}

	for _, into := range []string{intoAttributes, intoCategories} {
		if key, ok := strings.CutPrefix(name, into+"."); ok && key != "" {
			c.part, c.key = into, key
			return c, true
		}
	}

	return c, false
}

// parseHeader reads the header and returns every fault of it.
func parseHeader(names []string) (out []column, faults push.Faults) {
	fault := func(name, message string) {
		faults = append(faults, push.Fault{Location: "body", Message: "the column " + quoteName(name) + " " + message})
	}
	unknown := false
	seen := map[column]bool{}
	for _, name := range names {
		if len(faults) > maxLineFaults {
			break
		}
		c, ok := columnOf(name)
		place := column{part: c.part, key: c.key}
		switch {
		case !utf8.ValidString(name):
			fault(name, "is not UTF-8")
		case len(names) == 1 && strings.ContainsAny(name, ";\t"):
			fault(name, "seems to hold several columns; separate columns by commas")
		case !ok:
			fault(name, "is not known")
			unknown = true
		case seen[place]:
			fault(name, "is given twice")
		}
		seen[place] = true
		out = append(out, c)
	}

	if unknown {
		faults = append(push.Faults{{Location: "body", Message: "has columns that are not known; there are " + columnNames}}, faults...)
	}
	if !seen[column{key: "id"}] && len(faults) == 0 {
		fault("id", "is missing")
	}

	return out, faults
}

// quoteName returns a short form of input.
func quoteName(name string) string {
	b, _ := json.Marshal(push.Truncate(name, 60)) // a text always can be
	return string(b)
}

// parseRow converts a row to the import line with the same meaning. An empty cell has no
// meaning.
func (s *service) parseRow(columns []column, cells []string) (store.ImportLine, push.Faults) {
	parts := map[string]map[string]any{}
	var faults push.Faults
	for i, cell := range cells {
		if cell == "" {
			continue
		}
		c := columns[i]
		value, why := c.parseCell(cell)
		if why != "" {
			faults = append(faults, push.Fault{Location: c.name, Message: why})
			continue
		}
		if parts[c.part] == nil {
			parts[c.part] = map[string]any{}
		}
		parts[c.part][c.key] = value
	}

	members := map[string]json.RawMessage{}
	for key, value := range parts[intoLine] {
		members[key] = encodeJSON(value)
	}

	for _, into := range []string{intoAttributes, intoCategories} {
		if parts[into] != nil {
			members[into] = encodeJSON(parts[into])
		}
	}

	if token := parts[intoToken]; token != nil {
		members[intoToken] = encodeJSON([]any{token})
	}
	l, more := s.parseMembers(members)
	return l, append(faults, nameColumns(columns, more)...)
}

// parseCell returns a cell as JSON, or why it cannot be converted.
func (c column) parseCell(cell string) (value any, why string) {
	switch {
	case c.part == intoLine && c.key == "segments":
		return strings.Split(cell, listSeparator), ""
	case c.part == intoCategories, c.part == intoLine && c.key == "optedOut":
		switch strings.ToLower(cell) { // spreadsheets write TRUE
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
		return nil, "must be true or false"
	}

	return cell, ""
}

// encodeJSON encodes a value as JSON.
func encodeJSON(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the limit of attributes counts what was sent
	_ = e.Encode(v)        // texts, booleans, and lists and objects of them always can be
	return bytes.TrimSpace(b.Bytes())
}

// nameColumns returns faults of an import line with the names of the columns.
func nameColumns(columns []column, faults push.Faults) push.Faults {
	for i, f := range faults {
		at := strings.TrimPrefix(f.Location, "line.")
		switch at = strings.TrimPrefix(at, "tokens[0]."); at {
		case "tokens[0]":
			at = "line"
		case "id":
			at = columns[slices.IndexFunc(columns, func(c column) bool { return c.part == intoLine && c.key == "id" })].name
		}
		faults[i].Location = at
	}
	return faults
}
