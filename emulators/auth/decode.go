package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// maxBody is the size of the largest request that is read, in bytes.
const maxBody = 1 << 20

// readBody returns the fields of a request: those of a JSON object or, where forms are
// allowed, of a form. A request without a body has none. The names are in camelCase,
// whichever way they were written.
func readBody(r *http.Request, form bool) (map[string]any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, invalidArgument("Invalid JSON payload received. "+err.Error(), "parseError")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}, nil
	}

	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case form && kind == "application/x-www-form-urlencoded":
		return formFields(string(body))
	case kind != "application/json" && kind != "":
		message := "Invalid content-type: " + r.Header.Get("Content-Type")
		return nil, &apiError{400, "", message, map[string]any{"message": message, "reason": "unknown"}}
	}

	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var in any
	if err := d.Decode(&in); err != nil {
		return nil, invalidArgument("Invalid JSON payload received. "+err.Error(), "parseError")
	}
	fields, ok := renameFields(in).(map[string]any)
	if !ok {
		return nil, invalidArgument("Invalid JSON payload received.  must be object", "invalid")
	}
	return fields, nil
}

// formFields returns the fields of a form.
func formFields(body string) (map[string]any, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, invalidArgument("Invalid form received. "+err.Error(), "parseError")
	}
	fields := map[string]any{}
	for name := range values {
		fields[camelCase(name)] = values.Get(name)
	}
	return fields, nil
}

// renameFields writes the names of all objects in v in camelCase.
func renameFields(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			out[camelCase(name)] = renameFields(value)
		}
		return out
	case []any:
		for i := range v {
			v[i] = renameFields(v[i])
		}
	}
	return v
}

// camelCase returns a name of the form local_id as localId.
func camelCase(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words {
		if i > 0 && w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// decodeFields stores the fields of a request in the struct at into. Fields that it does
// not have are ignored. A number is accepted for a string.
func decodeFields(fields map[string]any, into any) error {
	checked, fault := checkType("", fields, reflect.TypeOf(into).Elem())
	if fault != "" {
		return invalidArgument("Invalid JSON payload received. "+fault, "invalid")
	}
	b, err := json.Marshal(checked)
	if err != nil {
		return fmt.Errorf("encoding a request: %w", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("decoding a request: %w", err)
	}
	return nil
}

// checkType returns a value of a request so that a variable of type t can hold it, or what
// is wrong with it.
func checkType(path string, v any, t reflect.Type) (out any, fault string) {
	ok, want := true, ""
	switch t.Kind() {
	case reflect.Pointer:
		return checkType(path, v, t.Elem())
	case reflect.String:
		if n, isNumber := v.(json.Number); isNumber {
			return n.String(), ""
		}
		_, ok = v.(string)
		want = "string"
	case reflect.Bool:
		_, ok = v.(bool)
		want = "boolean"
	case reflect.Slice:
		return checkElements(path, v, t.Elem())
	case reflect.Struct:
		return checkMembers(path, v, t)
	}
	if !ok {
		return nil, path + " must be " + want
	}
	return v, ""
}

// checkElements is checkType for a list.
func checkElements(path string, v any, t reflect.Type) (out any, fault string) {
	list, ok := v.([]any)
	if !ok {
		return nil, path + " must be array"
	}
	for i := range list {
		if list[i], fault = checkType(fmt.Sprintf("%s/%d", path, i), list[i], t); fault != "" {
			return nil, fault
		}
	}
	return list, ""
}

// checkMembers is checkType for an object: it returns the members that the struct has.
func checkMembers(path string, v any, t reflect.Type) (out any, fault string) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, path + " must be object"
	}
	known := map[string]any{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		value, given := object[name]
		if !given {
			continue
		}
		if known[name], fault = checkType(path+"/"+name, value, f.Type); fault != "" {
			return nil, fault
		}
	}
	return known, ""
}
