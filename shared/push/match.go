package push

import (
	"slices"
	"strconv"
	"strings"
)

// A Precondition is the condition of an If-Match header (RFC 9110): the thing to change must
// not have changed since it was read. A nil Precondition is always met.
type Precondition struct {
	Any       bool    // "*": it has to exist
	Revisions []int64 // one of these
}

// IsMetBy reports whether the stored thing, if there is one, meets the condition.
func (m *Precondition) IsMetBy(stored bool, revision int64) bool {
	return m == nil || stored && (m.Any || slices.Contains(m.Revisions, revision))
}

// ETag returns the ETag of a revision.
func ETag(revision int64) string { return `"` + strconv.FormatInt(revision, 36) + `"` }

// ParsePrecondition reads an If-Match header; nil without one. Tags that ETag did not make
// match nothing. The error is Faults.
func ParsePrecondition(header string) (*Precondition, error) {
	header = strings.TrimSpace(header)
	if header == "" {
		return nil, nil
	}

	m := &Precondition{Any: header == "*"}
	if m.Any {
		return m, nil
	}

	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		weak := strings.HasPrefix(tag, "W/") // never the same as another, byte for byte
		inner, quoted := strings.CutPrefix(strings.TrimPrefix(tag, "W/"), `"`)
		inner, closed := strings.CutSuffix(inner, `"`)
		if !quoted || !closed || strings.Contains(inner, `"`) {
			return nil, Faults{{Location: "header.If-Match", Message: `must be * or a list of entity tags, each in quotes, as in ETag`}}
		}
		if n, err := strconv.ParseInt(inner, 36, 64); err == nil && !weak {
			m.Revisions = append(m.Revisions, n)
		}
	}

	return m, nil
}
