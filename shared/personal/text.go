package personal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/parser"
	"github.com/osteele/liquid/render"

	"carillon.example/shared/push"
)

// A liquidEngine is the configuration of the library. It has only the tags and filters of
// this package.
type liquidEngine struct{ render.Config }

func newEngine() liquidEngine {
	c := render.NewConfig()
	c.AddBlock("if").Clause("elsif").Clause("else").Compiler(conditionalTag(true))
	c.AddBlock("unless").Clause("elsif").Clause("else").Compiler(conditionalTag(false))
	for name, f := range filters {
		c.AddFilter(name, f.callWithLimit)
	}
	c.AddFilter(percentFilter, percentEncode)
	return liquidEngine{c}
}

// A textTemplate is one compiled template.
type textTemplate struct {
	at      string // location of the template, as in push.Fault
	purpose purpose
	root    render.Node
	engine  liquidEngine
}

// compileText compiles one template, or records its faults and returns nil.
func (c *compiler) compileText(at, source string, u purpose) *textTemplate {
	if len(source) > MaxTemplate {
		c.addFault(at, fmt.Sprintf("is %d bytes long; templates have at most %d", len(source), MaxTemplate))
		return nil
	}

	tokens := parser.Scan(source, parser.SourceLoc{}, nil)
	faultsBefore := c.faultCount
	k := templateCheck{compiler: c, at: at}
	k.checkTokens(tokens)
	if u == asLink {
		k.checkLink(tokens)
		source = encodeOutputs(tokens)
	}
	if c.faultCount > faultsBefore {
		return nil
	}

	x := &textTemplate{at: at, purpose: u, engine: c.engine}
	if err := x.compile(source); err != nil {
		c.addFault(at, err.Error())
		return nil
	}

	vars := makeVars("", nil, slices.Collect(maps.Keys(c.names)))
	vars["values"] = pickNamed(nil, slices.Collect(maps.Keys(c.values)))
	if _, err := x.render(vars); err != nil {
		c.addFault(at, "cannot be rendered for a customer without attributes: "+err.Error())
		return nil
	}

	return x
}

// compile has the library parse the source. The library may panic, so panics become
// errors.
func (x *textTemplate) compile(source string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("is not a template that can be read")
		}
	}()

	root, failed := x.engine.Compile(source, parser.SourceLoc{})
	if failed != nil {
		return fmt.Errorf("cannot be read: %s", push.Truncate(failed.Error(), 60))
	}
	x.root = root
	return nil
}

// render renders the template for one customer. The library panics if its writer returns
// an error, and if it has a bug, so panics become errors.
func (x *textTemplate) render(vars map[string]any) (s string, err error) {
	var out bounded
	defer func() {
		p := recover()
		switch {
		case out.full:
			s, err = "", fmt.Errorf("rendering %s: %w", x.at, ErrTooLarge)
		case p != nil:
			s, err = "", fmt.Errorf("rendering %s: %w", x.at, errValues)
		}
	}()

	if failed := render.Render(x.root, &out, vars, x.engine.Config); failed != nil {
		return "", fmt.Errorf("rendering %s: %w", x.at, ownError(failed))
	}
	if x.purpose == asLink && leavesPath(out.String()) {
		return "", fmt.Errorf("rendering %s: %w", x.at, ErrElsewhere)
	}

	return out.String(), nil
}

// errValues replaces the errors of the library, because their text repeats values of the
// customer, which must not be logged.
var errValues = errors.New("the template does not work with this customer's values")

// ownError returns ErrTooLarge if that is the cause of an error of the library, else errValues.
// The library's error has no Unwrap method, so errors.Is alone does not find the cause.
func ownError(failed render.Error) error {
	if f, ok := errors.AsType[expressions.FilterError](failed.Cause()); ok && errors.Is(f.Err, ErrTooLarge) {
		return ErrTooLarge
	}
	return errValues
}

// bounded is a buffer for at most MaxRendered bytes.
type bounded struct {
	bytes.Buffer
	full bool
}

// Write returns ErrTooLarge if the buffer would become longer than MaxRendered.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > MaxRendered {
		b.full = true
		return 0, ErrTooLarge
	}
	return b.Buffer.Write(p)
}

// WriteString hides the method of bytes.Buffer, which io.WriteString would call and which
// has no limit.
func (b *bounded) WriteString(s string) (int, error) { return b.Write([]byte(s)) }
