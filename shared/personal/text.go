package personal

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/osteele/liquid/parser"
	"github.com/osteele/liquid/render"
	"github.com/osteele/liquid/tags"
)

// An engine is the library's configuration. Its tags are the standard ones, of
// which check lets only if and unless through.
type engine struct{ render.Config }

func newEngine() engine {
	c := render.NewConfig()
	tags.AddStandardTags(c)
	for name, f := range filters {
		c.AddFilter(name, f.make)
	}
	c.AddFilter(percent, encode)
	return engine{c}
}

// A text is one compiled template.
type text struct {
	at     string
	root   render.Node
	engine engine
}

// text compiles one template, or names what is wrong with it.
func (c *compiler) text(at, source string, u use) *text {
	if len(source) > MaxTemplate {
		c.fault(at, fmt.Sprintf("is %d bytes long; templates have at most %d", len(source), MaxTemplate))
		return nil
	}
	tokens := parser.Scan(source, parser.SourceLoc{}, nil)
	before := len(c.faults)
	k := check{compiler: c, at: at}
	k.tokens(tokens)
	if u == asLink {
		k.prefix(tokens)
		source = encoded(tokens)
	}
	if len(c.faults) > before {
		return nil
	}
	x := &text{at: at, engine: c.engine}
	if err := x.compile(source); err != nil {
		c.fault(at, err.Error())
		return nil
	}
	if _, err := x.render(bindings("", nil)); err != nil {
		c.fault(at, "cannot be rendered: "+err.Error())
		return nil
	}
	return x
}

func (x *text) compile(source string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("is no template: %v", p)
		}
	}()
	root, failed := x.engine.Compile(source, parser.SourceLoc{})
	if failed != nil {
		return failed
	}
	x.root = root
	return nil
}

// render fills in one customer's values. The library panics when its writer
// fails.
func (x *text) render(vars map[string]any) (s string, err error) {
	var out bounded
	defer func() {
		if p := recover(); p != nil {
			s, err = "", fmt.Errorf("rendering %s: %v", x.at, p)
		}
		if out.full {
			s, err = "", fmt.Errorf("rendering %s: %w", x.at, ErrTooLarge)
		}
	}()
	if failed := render.Render(x.root, &out, vars, x.engine.Config); failed != nil {
		if strings.Contains(failed.Error(), ErrTooLarge.Error()) { // the library does not unwrap
			return "", fmt.Errorf("rendering %s: %w", x.at, ErrTooLarge)
		}
		return "", fmt.Errorf("rendering %s: %w", x.at, failed)
	}
	return out.String(), nil
}

// bounded takes MaxRendered bytes.
type bounded struct {
	bytes.Buffer
	full bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > MaxRendered {
		b.full = true
		return 0, ErrTooLarge
	}
	return b.Buffer.Write(p)
}

// WriteString is Write: io.WriteString must not go around the bound.
func (b *bounded) WriteString(s string) (int, error) { return b.Write([]byte(s)) }

// encoded is the template with every output percent-encoded.
func encoded(tokens []parser.Token) string {
	var b strings.Builder
	for _, t := range tokens {
		if t.Type != parser.ObjTokenType {
			b.WriteString(t.Source)
			continue
		}
		left, right := "{{ ", " }}"
		if t.Source[2] == '-' {
			left = "{{- "
		}
		if t.Source[len(t.Source)-3] == '-' {
			right = " -}}"
		}
		b.WriteString(left + t.Args + " | " + percent + right)
	}
	return b.String()
}

// fixed is how a link begins that leads to one place whatever the values are:
// a scheme, and where a host follows, what ends the host.
var fixed = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:(//[^/?#]+[/?#]|[^/])`)

// prefix refuses links whose scheme or host is templated.
func (c *check) prefix(tokens []parser.Token) {
	if len(tokens) == 0 || tokens[0].Type != parser.TextTokenType || !fixed.MatchString(tokens[0].Source) {
		c.fault(c.at, "has to begin with its scheme and host, as in https://shop.example/: they cannot be templated")
	}
}
