package relay

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// raw is a codec that does not decode messages: they stay bytes.
type raw struct{}

// Marshal returns the bytes that v points to.
func (raw) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("relay: %T is not *[]byte", v)
	}
	return *b, nil
}

// Unmarshal copies data, because the transport uses its buffer again.
func (raw) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("relay: %T is not *[]byte", v)
	}
	*b = append([]byte(nil), data...)
	return nil
}

// Name returns the name of the ordinary codec, because the bytes on the wire are the same.
func (raw) Name() string { return "proto" }

// decodeRequest decodes a request of a method, "/package.Service/Method", with the type
// that this process has registered for it.
func decodeRequest(method string, data []byte) (proto.Message, error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, fmt.Errorf("finding service %s: %w", service, err)
	}

	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok || s.Methods().ByName(protoreflect.Name(name)) == nil {
		return nil, fmt.Errorf("%s has no method %s", service, name)
	}

	t, err := protoregistry.GlobalTypes.FindMessageByName(s.Methods().ByName(protoreflect.Name(name)).Input().FullName())
	if err != nil {
		return nil, fmt.Errorf("finding the request of %s: %w", method, err)
	}

	m := t.New().Interface()
	return m, proto.Unmarshal(data, m)
}
