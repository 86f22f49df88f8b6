package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/push"
)

// A Form reads one kind of JSON body and finds all its faults at once. huma alone stops
// at the first field of a wrong type: the caller would learn of the next fault only with
// the next request.
type Form[T any] struct {
	registry huma.Registry
	schema   *huma.Schema
}

// NewForm makes the form of bodies that are decoded into T.
func NewForm[T any](a *API) *Form[T] {
	r := a.OpenAPI().Components.Schemas
	return &Form[T]{registry: r, schema: r.Schema(reflect.TypeFor[T](), true, "")}
}

// Takes returns op with such a body in its documentation. huma does not check the body;
// Read does. The input of the operation has a Body of type json.RawMessage.
func (f *Form[T]) Takes(op huma.Operation) huma.Operation {
	op.SkipValidateBody = true
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: f.schema},
	}}
	op.Errors = append(op.Errors, http.StatusUnprocessableEntity)
	return op
}

// TakesMany is like Takes for a body with a list of 1 to most items in a field. Read
// reads each item.
func (f *Form[T]) TakesMany(op huma.Operation, field string, most int) huma.Operation {
	op.SkipValidateBody = true
	list := &huma.Schema{Type: huma.TypeArray, Items: f.schema, MinItems: new(1), MaxItems: &most}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false,
			Properties: map[string]*huma.Schema{field: list}, Required: []string{field}}},
	}}
	op.Errors = append(op.Errors, http.StatusUnprocessableEntity)
	return op
}

// Read decodes a body as far as possible. The faults name everything in it that does
// not match the schema.
func (f *Form[T]) Read(raw []byte) (*T, push.Faults) {
	v, unread := decodeFields[T](raw, f.schemaOf())

	var parsed any
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return v, push.Faults{{Location: "body", Message: "is not valid JSON"}}
	}

	trimmer := trimmer{registry: f.registry, left: maxFaults}
	parsed = trimmer.trimValue(f.schema, parsed)

	res := &huma.ValidateResult{}
	at := huma.NewPathBuffer(nil, 0)
	at.Push("body")
	huma.Validate(f.registry, f.schema, at, huma.ModeWriteToServer, parsed, res)
	faults := toFaults(res.Errors)

	for _, u := range unread {
		if !slices.ContainsFunc(faults, func(x push.Fault) bool { return isWithin(x, u) || isWithin(u, x) }) {
			faults = append(faults, u)
		}
	}
	if trimmer.more {
		faults = append(faults, moreFaults)
	}

	return v, faults
}

// schemaOf returns the schema of the form itself, not a reference to it.
func (f *Form[T]) schemaOf() *huma.Schema {
	s := f.schema
	for s.Ref != "" {
		s = f.registry.SchemaFromRef(s.Ref)
	}
	return s
}

// decodeFields reads raw into a T. If that fails, it decodes field by field: encoding/json
// stops at a text that a type refuses, so later fields would seem to be missing. It skips
// fields that the schema does not have.
func decodeFields[T any](raw []byte, schema *huma.Schema) (*T, push.Faults) {
	v := new(T)
	if json.Unmarshal(raw, v) == nil {
		return v, nil
	}

	v = new(T)
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return v, push.Faults{{Location: "body", Message: "must be a JSON object"}}
	}

	var faults push.Faults
	for _, k := range slices.Sorted(maps.Keys(schema.Properties)) {
		if fields[k] == nil {
			continue
		}
		one, err := json.Marshal(map[string]json.RawMessage{k: fields[k]})
		if err == nil {
			err = json.Unmarshal(one, v)
		}
		if err != nil {
			faults = append(faults, push.Fault{Location: "body." + k, Message: "has a value that cannot be read"})
		}
	}

	return v, faults
}
