package engine

import (
	"cmp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	maxNameSize = 6 << 10 // bytes in the name of a document
	maxIDSize   = 1500    // bytes in the id of a collection or document
	maxSegments = 200     // 100 subcollections deep
)

func invalidArgument(f string, a ...any) error { return status.Errorf(codes.InvalidArgument, f, a...) }

// splitName splits "projects/P/databases/D/documents/a/b" into the name of the
// database and the path below documents.
func splitName(name string) (db, path string, ok bool) {
	db, path, found := strings.Cut(name, "/documents")
	if !found || !isDatabase(db) {
		return "", "", false
	}
	if path == "" {
		return db, "", true
	}
	return db, path[1:], path[0] == '/' && len(path) > 1
}

func isDatabase(name string) bool {
	p := strings.Split(name, "/")
	return len(p) == 4 && p[0] == "projects" && p[1] != "" && p[2] == "databases" && p[3] != ""
}

// parseDocName checks the name of a document and returns its database and path.
func parseDocName(name string) (db, path string, err error) {
	db, path, ok := splitName(name)
	if !ok || path == "" {
		return "", "", invalidArgument("Invalid resource name: %.200q", name)
	}
	if len(name) > maxNameSize {
		return "", "", invalidArgument("Document name is longer than %d bytes", maxNameSize)
	}
	if err := checkPath(path); err != nil {
		return "", "", err
	}
	if strings.Count(path, "/")%2 == 0 {
		return "", "", invalidArgument("Document name %.200q lacks \"/\" at index %d", name, len(name))
	}

	return db, path, nil
}

// parseParent checks the parent of collections: a document or documents/
// itself.
func parseParent(name string) (db, path string, err error) {
	db, path, ok := splitName(name)
	switch {
	case !ok:
		return "", "", invalidArgument("Invalid parent: %.200q", name)
	case path == "":
		return db, "", nil
	}
	return parseDocName(name)
}

func checkPath(path string) error {
	n := 0
	for s := range strings.SplitSeq(path, "/") {
		if n++; n > maxSegments {
			return invalidArgument("Document name has more than %d segments", maxSegments)
		}
		if err := checkID(s); err != nil {
			return err
		}
	}
	return nil
}

func checkID(s string) error {
	switch {
	case s == "":
		return invalidArgument("Resource name has an empty segment")
	case s == "." || s == "..":
		return invalidArgument("Resource id %q is invalid", s)
	case len(s) > maxIDSize:
		return invalidArgument("Resource id is longer than %d bytes", maxIDSize)
	case len(s) > len("____") && isReserved(s): // the service accepts the id ____
		if _, ok := numericID(s); !ok {
			return invalidArgument("Resource id %q is invalid because it is reserved.", s)
		}
	}
	return nil
}

// isReserved reports whether a name matches __.*__.
func isReserved(s string) bool {
	return len(s) >= 4 && strings.HasPrefix(s, "__") && strings.HasSuffix(s, "__")
}

// numericID parses an id of the form __id123__, which comes from Datastore.
func numericID(s string) (int64, bool) {
	if len(s) < 7 || !strings.HasPrefix(s, "__id") || !strings.HasSuffix(s, "__") {
		return 0, false
	}
	n, err := strconv.ParseInt(s[4:len(s)-2], 10, 64)
	return n, err == nil
}

func parentPath(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }

func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func joinPath(parent, id string) string {
	if parent == "" {
		return id
	}
	return parent + "/" + id
}

// comparePaths compares names segment by segment.
func comparePaths(a, b string) int {
	for {
		x, restA, moreA := strings.Cut(a, "/")
		y, restB, moreB := strings.Cut(b, "/")
		if c := compareIDs(x, y); c != 0 {
			return c
		}
		switch {
		case moreA && moreB:
			a, b = restA, restB
		case moreA:
			return 1
		case moreB:
			return -1
		default:
			return 0
		}
	}
}

// compareIDs orders numeric ids first, by number, and other ids by their bytes.
func compareIDs(a, b string) int {
	if !strings.HasPrefix(a, "__id") && !strings.HasPrefix(b, "__id") {
		return strings.Compare(a, b)
	}
	x, xNumeric := numericID(a)
	y, yNumeric := numericID(b)
	switch {
	case xNumeric && yNumeric:
		return cmp.Compare(x, y)
	case xNumeric:
		return -1
	case yNumeric:
		return 1
	}

	return strings.Compare(a, b)
}
