package personal

import (
	"fmt"
	"strings"

	"github.com/osteele/liquid/parser"

	"carillon.example/shared/push"
)

// A templateCheck checks one template before the library reads it. It reads the tokens,
// and records a fault for everything that is not allowed.
type templateCheck struct {
	*compiler
	at   string  // location of the template, as in push.Fault
	open []block // blocks without an end so far, outermost first
}

// A block is an if or unless that has no end yet.
type block struct {
	name string
	last bool // its else has been read, so no further clause may follow
}

// addFaultf records a fault of this template.
func (c *templateCheck) addFaultf(format string, a ...any) {
	c.addFault(c.at, fmt.Sprintf(format, a...))
}

func (c *templateCheck) checkTokens(tokens []parser.Token) {
	for _, t := range tokens {
		switch t.Type {
		case parser.TextTokenType:
			c.checkText(t.Source)
		case parser.ObjTokenType:
			c.checkOutput(t.Args)
		case parser.TagTokenType:
			c.checkTag(t.Name, t.Args)
		}
	}

	if n := len(c.open); n > 0 {
		c.addFaultf("{%% %s %%} has no {%% end%s %%}", c.open[n-1].name, c.open[n-1].name)
	}
}

// checkText checks the text between outputs and tags. Opening braces in it have no
// closing braces, or enclose something that is neither an output nor a tag.
func (c *templateCheck) checkText(s string) {
	for _, brace := range []string{"{{", "{%"} {
		if i := strings.Index(s, brace); i >= 0 {
			c.addFaultf("%s is not closed in its line, or empty: %q", brace, push.Truncate(s[i:], 60))
		}
	}
}

// checkOutput checks what is between {{ and }}.
func (c *templateCheck) checkOutput(args string) {
	x := expression{templateCheck: c, source: args}
	if err := x.parseOutput(); err != nil {
		c.addFaultf("{{ %s }}: %v", push.Truncate(args, 60), err)
	}
}

// checkTag checks what is between {% and %}, and keeps the list of open blocks.
func (c *templateCheck) checkTag(name, args string) {
	switch name {
	case "if", "unless":
		c.checkCondition(name, args)
		if c.open = append(c.open, block{name: name}); len(c.open) == MaxNesting+1 {
			c.addFaultf("if and unless are nested deeper than %d", MaxNesting)
		}
	case "elsif", "else":
		c.checkClause(name, args)
	case "endif", "endunless":
		if n := len(c.open); n == 0 || "end"+c.open[n-1].name != name {
			c.addFaultf("{%% %s %%} does not end an open tag", name)
		} else {
			c.open = c.open[:n-1]
		}
		if args != "" {
			c.addFaultf("{%% %s %%} accepts no arguments", name)
		}
	default:
		c.addFaultf("{%% %s %%} is not an allowed tag: there are if, unless, elsif and else", push.Truncate(name, 60))
	}
}

// checkClause checks an elsif or else.
func (c *templateCheck) checkClause(name, args string) {
	switch n := len(c.open); {
	case n == 0:
		c.addFaultf("{%% %s %%} is outside of if and unless", name)
	case c.open[n-1].last:
		c.addFaultf("{%% %s %%} comes after {%% else %%}", name)
	default:
		c.open[n-1].last = name == "else"
	}

	if name == "elsif" {
		c.checkCondition(name, args)
	} else if args != "" {
		c.addFaultf("{%% else %%} accepts no condition")
	}
}

func (c *templateCheck) checkCondition(tag, args string) {
	x := expression{templateCheck: c, source: args}
	if err := x.parseCondition(); err != nil {
		c.addFaultf("{%% %s %s %%}: %v", tag, push.Truncate(args, 60), err)
	}
}
