package transcode

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// decodeRequest fills the request of a method from the path, the body and the parameters.
// Where two name the same field, the path counts.
func (r *route) decodeRequest(into protoreflect.Message, path []string, body []byte, query url.Values) error {
	if err := r.decodeBody(into, body); err != nil {
		return err
	}
	if r.body != "*" { // else every field is in the body or the path
		for name, values := range query {
			if isSystemParameter(name) {
				continue
			}
			for _, v := range values {
				if err := setField(into, name, v); err != nil {
					return err
				}
			}
		}
	}
	for i, name := range r.fields {
		if err := setField(into, name, path[i]); err != nil {
			return err
		}
	}
	return nil
}

// isSystemParameter reports whether a parameter is about the answer or the caller, and not
// a field of the request.
func isSystemParameter(name string) bool {
	return strings.HasPrefix(name, "$") || name == "alt" || name == "key" || name == "prettyPrint" || name == "access_token"
}

func (r *route) decodeBody(into protoreflect.Message, body []byte) error {
	if r.body == "" || len(strings.TrimSpace(string(body))) == 0 {
		return nil
	}
	if r.body == "*" {
		return protojson.Unmarshal(body, into.Interface())
	}
	field := into.Descriptor().Fields().ByName(protoreflect.Name(r.body))
	return protojson.Unmarshal(body, into.Mutable(field).Message().Interface())
}

// setField sets the field at a path such as mask.fieldPaths to a text. A repeated field
// gets one more element. A name may be that of the proto or that of JSON.
func setField(m protoreflect.Message, path, text string) error {
	names := strings.Split(path, ".")
	for i, name := range names {
		field := m.Descriptor().Fields().ByJSONName(name)
		if field == nil {
			field = m.Descriptor().Fields().ByName(protoreflect.Name(name))
		}
		if field == nil || field.IsMap() {
			return fmt.Errorf("unknown name %q: cannot find field", path)
		}
		if i < len(names)-1 {
			if field.Message() == nil || field.IsList() {
				return fmt.Errorf("unknown name %q: %s has no fields", path, name)
			}
			m = m.Mutable(field).Message()
			continue
		}
		return setLeaf(m, field, path, text)
	}
	return nil
}

// setLeaf sets a field by its form in JSON. A text that is no JSON value for the field, such
// as an id or a time, becomes one with quotes.
func setLeaf(m protoreflect.Message, field protoreflect.FieldDescriptor, path, text string) error {
	quoted, err := json.Marshal(text)
	if err != nil {
		return fmt.Errorf("parameter %q: %w", path, err)
	}
	forms := []string{string(quoted), text}
	if field.Kind() == protoreflect.StringKind || field.Kind() == protoreflect.BytesKind {
		forms = forms[:1]
	}

	for _, form := range forms {
		if field.IsList() {
			form = "[" + form + "]"
		}
		one := m.New()
		if err = protojson.Unmarshal([]byte(`{"`+field.JSONName()+`":`+form+`}`), one.Interface()); err != nil {
			continue
		}
		if !field.IsList() {
			m.Set(field, one.Get(field))
			return nil
		}
		for i := range one.Get(field).List().Len() {
			m.Mutable(field).List().Append(one.Get(field).List().Get(i))
		}
		return nil
	}
	return fmt.Errorf("parameter %q: invalid value %.100q", path, text)
}
