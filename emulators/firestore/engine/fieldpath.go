package engine

import (
	"regexp"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// nameField is the pseudo field for the name of a document.
const nameField = "__name__"

var simpleName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z_0-9]*$`)

// A fieldPath leads to a field through maps. nil means __name__.
type fieldPath []string

// parseFieldPath parses simple names that are joined by dots. Other names are
// quoted with backticks; inside of the quotes, a backslash escapes a backtick
// or a backslash.
func parseFieldPath(s string) (fieldPath, error) {
	if len(s) > 20*maxIDSize {
		return nil, invalidArgument("Property path is too long")
	}
	var out fieldPath
	for rest := s; ; {
		name, after, err := cutFieldName(rest)
		if err != nil {
			return nil, invalidArgument("Invalid property path %.200q: %v", s, err)
		}
		out = append(out, name)
		if after == "" {
			return out, nil
		}
		if after[0] != '.' {
			return nil, invalidArgument("Invalid property path %.200q.", s)
		}
		rest = after[1:]
	}
}

func cutFieldName(s string) (name, rest string, err error) {
	if !strings.HasPrefix(s, "`") {
		end := strings.IndexByte(s, '.')
		if end < 0 {
			end = len(s)
		}
		if !simpleName.MatchString(s[:end]) {
			return "", "", invalidArgument("%.200q must be quoted with backticks", s[:end])
		}
		return s[:end], s[end:], nil
	}

	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] != '`':
			b.WriteByte(s[i])
		case b.Len() == 0:
			return "", "", invalidArgument("a component is empty")
		default:
			return b.String(), s[i+1:], nil
		}
	}

	return "", "", invalidArgument("a quote does not end")
}

// queryPath is parseFieldPath, but returns nil for __name__.
func queryPath(s string) (fieldPath, error) {
	if s == nameField {
		return nil, nil
	}
	return parseFieldPath(s)
}

// String returns the path in the form of requests and index definitions.
func (p fieldPath) String() string {
	if p == nil {
		return nameField
	}
	out := make([]string, len(p))
	for i, name := range p {
		if !simpleName.MatchString(name) {
			name = "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
		}
		out[i] = name
	}
	return strings.Join(out, ".")
}

func parseMask(m *pb.DocumentMask) ([]fieldPath, error) {
	out := make([]fieldPath, 0, len(m.GetFieldPaths()))
	for _, s := range m.GetFieldPaths() {
		p, err := parseFieldPath(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// fieldAt returns the value at a path. ok is false when there is none.
func fieldAt(m map[string]*pb.Value, path fieldPath) (*pb.Value, bool) {
	for i, name := range path {
		v, ok := m[name]
		if !ok || i == len(path)-1 {
			return v, ok
		}
		m = v.GetMapValue().GetFields()
	}
	return nil, false
}

// withField returns a copy of m in which the value at path is set, or removed
// when v is nil. It copies the maps along the path and does not change m.
func withField(m map[string]*pb.Value, path fieldPath, v *pb.Value) map[string]*pb.Value {
	out := make(map[string]*pb.Value, len(m)+1)
	for k, x := range m {
		out[k] = x
	}

	name := path[0]
	child, isMap := out[name].GetValueType().(*pb.Value_MapValue)
	switch {
	case len(path) == 1 && v == nil:
		delete(out, name)
	case len(path) == 1:
		out[name] = v
	case isMap:
		out[name] = mapValue(withField(child.MapValue.GetFields(), path[1:], v))
	case v != nil:
		out[name] = mapValue(withField(nil, path[1:], v))
	}

	return out
}

// selectFields returns only the fields at the paths.
func selectFields(m map[string]*pb.Value, paths []fieldPath) map[string]*pb.Value {
	var out map[string]*pb.Value
	for _, p := range paths {
		if v, ok := fieldAt(m, p); ok {
			out = withField(out, p, v)
		}
	}
	return out
}
