package pubsub

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// defaultPage is the number of names in a page if the request names none.
const defaultPage = 100

// pageOfNames returns a page of the sorted names that begin with prefix, and the token
// of the next page. The token is the last name of the previous page.
func pageOfNames[T any](all map[string]T, prefix string, size int32, token string) (names []string, next string, err error) {
	if size < 0 {
		return nil, "", invalidArgument("page_size must not be negative.")
	}
	if size == 0 {
		size = defaultPage
	}

	for n := range all {
		if strings.HasPrefix(n, prefix) && n > token {
			names = append(names, n)
		}
	}

	slices.Sort(names)
	if len(names) > int(size) {
		names = names[:size]
		next = names[size-1]
	}
	return names, next, nil
}

// mergeFields copies the fields in mask from src to dst. It is an error to change a
// field in fixed.
func mergeFields(dst, src proto.Message, mask *fieldmaskpb.FieldMask, fixed ...string) error {
	if len(mask.GetPaths()) == 0 {
		return invalidArgument("The update_mask in the request must be set and contain a non-empty list of paths.")
	}
	for _, path := range mask.GetPaths() {
		if slices.Contains(fixed, path) {
			return invalidArgument("Invalid update_mask provided in the request (update_mask.path=%s): the field cannot be changed.", path)
		}
		if !assignField(dst.ProtoReflect(), src.ProtoReflect(), strings.Split(path, ".")) {
			return invalidArgument("Invalid update_mask provided in the request (update_mask.path=%s): there is no such field.", path)
		}
	}
	return nil
}

// assignField copies one field, or clears it if src does not have it. It returns false
// if there is no such field.
func assignField(dst, src protoreflect.Message, path []string) bool {
	f := dst.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case f == nil:
		return false
	case len(path) > 1:
		return f.Message() != nil && !f.IsList() && !f.IsMap() && assignField(dst.Mutable(f).Message(), src.Get(f).Message(), path[1:])
	case src.Has(f):
		dst.Set(f, src.Get(f))
	default:
		dst.Clear(f)
	}
	return true
}
