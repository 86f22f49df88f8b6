package transcode

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A route is one binding of a method to a path.
type route struct {
	method  protoreflect.MethodDescriptor
	verb    string // of HTTP
	path    *regexp.Regexp
	fields  []string // the fields of the request that the groups of path have
	body    string   // the field that the body has; "*": the whole request, "": there is no body
	literal int      // number of bytes of the template outside of wildcards
}

// routesOf returns the routes of services, those with the most literal text first: the path
// of a document matches more than one of them.
func routesOf(services []protoreflect.ServiceDescriptor) ([]*route, error) {
	var out []*route
	for _, s := range services {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
			if rule == nil || m.IsStreamingClient() {
				continue
			}
			for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
				r, err := newRoute(m, binding)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", m.FullName(), err)
				}
				out = append(out, r)
			}
		}
	}

	slices.SortStableFunc(out, func(a, b *route) int { return b.literal - a.literal })
	return out, nil
}

func newRoute(m protoreflect.MethodDescriptor, rule *annotations.HttpRule) (*route, error) {
	r := &route{method: m, body: rule.GetBody()}
	template := ""
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.verb, template = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		r.verb, template = http.MethodPost, p.Post
	case *annotations.HttpRule_Put:
		r.verb, template = http.MethodPut, p.Put
	case *annotations.HttpRule_Patch:
		r.verb, template = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		r.verb, template = http.MethodDelete, p.Delete
	default:
		return nil, fmt.Errorf("the pattern %v is not supported", rule.GetPattern())
	}
	return r, r.parseTemplate(template)
}

var variable = regexp.MustCompile(`\{([a-z_.]+)(?:=([^}]*))?\}`)

// parseTemplate makes path and fields of a template such as
// /v1/{name=projects/*/databases/*}/documents:commit.
func (r *route) parseTemplate(template string) (err error) {
	var pattern strings.Builder
	pattern.WriteString("^")
	rest := template
	for _, at := range variable.FindAllStringSubmatchIndex(template, -1) {
		begin := len(template) - len(rest)
		r.writeLiteral(&pattern, template[begin:at[0]])
		r.fields = append(r.fields, template[at[2]:at[3]])
		segments := "*"
		if at[4] >= 0 {
			segments = template[at[4]:at[5]]
		}
		pattern.WriteString("(")
		r.writeSegments(&pattern, segments)
		pattern.WriteString(")")
		rest = template[at[1]:]
	}
	r.writeLiteral(&pattern, rest)
	pattern.WriteString("$")

	r.path, err = regexp.Compile(pattern.String())
	return err
}

func (r *route) writeLiteral(to *strings.Builder, text string) {
	to.WriteString(regexp.QuoteMeta(text))
	r.literal += len(text)
}

// writeSegments writes the pattern of a variable. * is one segment. ** is the rest of a
// path of Firestore, the only service here that has it: collections and documents take
// turns, so that after the id of a collection comes an odd number of segments, and else an
// even one. Without this the path of a document would also be that of a list.
func (r *route) writeSegments(to *strings.Builder, segments string) {
	const pairs = "(?:/[^/]+/[^/]+)*"
	before := ""
	for i, s := range strings.Split(segments, "/") {
		slash := ""
		if i > 0 {
			slash = "/"
		}
		switch {
		case s == "**" && before == "*":
			to.WriteString("/[^/]+" + pairs)
		case s == "**":
			to.WriteString(pairs)
		case s == "*":
			to.WriteString(slash + "[^/]+")
		default:
			r.writeLiteral(to, slash+s)
		}
		before = s
	}
}

// match returns the values of the fields in a path, or false. path is escaped.
func (r *route) match(verb, path string) (values []string, ok bool) {
	if verb != r.verb {
		return nil, false
	}
	found := r.path.FindStringSubmatch(path)
	if found == nil {
		return nil, false
	}
	for _, v := range found[1:] {
		text, err := url.PathUnescape(v)
		if err != nil {
			return nil, false
		}
		values = append(values, text)
	}
	return values, true
}
