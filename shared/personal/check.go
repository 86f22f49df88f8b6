package personal

import (
	"fmt"
	"strings"

	"github.com/osteele/liquid/parser"

	"carillon.example/shared/push"
)

// check is the fence in front of the library. It reads the tokens of a template before
// the library does, and names everything that is not allowed.
type check struct {
	*compiler
	at   string
	open []block
}

// A block is an if or unless that has no end yet.
type block struct {
	name string
	last bool // its else has come
}

func (c *check) say(format string, a ...any) { c.fault(c.at, fmt.Sprintf(format, a...)) }

func (c *check) tokens(tokens []parser.Token) {
	for _, t := range tokens {
		switch t.Type {
		case parser.TextTokenType:
			c.text(t.Source)
		case parser.ObjTokenType:
			c.output(t.Args)
		case parser.TagTokenType:
			c.tag(t.Name, t.Args)
		}
	}
	if n := len(c.open); n > 0 {
		c.say("{%% %s %%} has no {%% end%s %%}", c.open[n-1].name, c.open[n-1].name)
	}
}

// text checks the text between outputs and tags. An opening brace in it was never closed,
// or encloses something that is neither an output nor a tag.
func (c *check) text(s string) {
	for _, brace := range []string{"{{", "{%"} {
		if i := strings.Index(s, brace); i >= 0 {
			c.say("%s is not closed in its line, or empty: %q", brace, push.Truncate(s[i:], 60))
		}
	}
}

func (c *check) output(args string) {
	x := expression{check: c, source: args}
	if err := x.output(); err != nil {
		c.say("{{ %s }}: %v", push.Truncate(args, 60), err)
	}
}

func (c *check) tag(name, args string) {
	switch name {
	case "if", "unless":
		c.condition(name, args)
		if c.open = append(c.open, block{name: name}); len(c.open) == MaxNesting+1 {
			c.say("if and unless are nested deeper than %d", MaxNesting)
		}
	case "elsif", "else":
		c.clause(name, args)
	case "endif", "endunless":
		if n := len(c.open); n == 0 || "end"+c.open[n-1].name != name {
			c.say("{%% %s %%} ends nothing", name)
		} else {
			c.open = c.open[:n-1]
		}
		if args != "" {
			c.say("{%% %s %%} takes nothing", name)
		}
	default:
		c.say("{%% %s %%} is not an allowed tag: there are if, unless, elsif and else", push.Truncate(name, 60))
	}
}

func (c *check) clause(name, args string) {
	switch n := len(c.open); {
	case n == 0:
		c.say("{%% %s %%} stands outside of if and unless", name)
	case c.open[n-1].last:
		c.say("{%% %s %%} comes after {%% else %%}", name)
	default:
		c.open[n-1].last = name == "else"
	}
	if name == "elsif" {
		c.condition(name, args)
	} else if args != "" {
		c.say("{%% else %%} takes no condition")
	}
}

func (c *check) condition(tag, args string) {
	x := expression{check: c, source: args}
	if err := x.condition(); err != nil {
		c.say("{%% %s %s %%}: %v", tag, push.Truncate(args, 60), err)
	}
}
