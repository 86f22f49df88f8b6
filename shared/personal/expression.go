package personal

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"carillon.example/shared/push"
)

// An expression checks the text between braces against this grammar, which allows less
// than that of the library:
//
//	output    = operand { "|" filter [ ":" operand { "," operand } ] }
//	condition = comparison { ("and" | "or") comparison }
//	comparison = operand [ ("==" | "!=" | "<" | ">" | "<=" | ">=" | "contains") operand ]
//	operand   = string | number | "true" | "false" | "nil"
//	          | ( "customer" | "values" ) ( "." name | "[" string "]" )
//
// values exist only in messages to one customer.
type expression struct {
	*templateCheck
	source string
	rest   []string // the lexemes that are not parsed yet
}

// lexeme matches a string, a number, a name, an operator or a punctuation mark.
var lexeme = regexp.MustCompile(`^(?:"[^"]*"|'[^']*'|-?[0-9]+(?:\.[0-9]+)?|[A-Za-z_][A-Za-z0-9_-]*|==|!=|<=|>=|[<>|:,.\[\]])`)

var (
	number = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]{1,15})?$`)
	name   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
)

// splitLexemes splits the source into lexemes.
func (x *expression) splitLexemes() error {
	s := strings.TrimSpace(x.source)
	for s != "" {
		l := lexeme.FindString(s)
		if n := len(x.rest); l == "" && n > 0 && x.rest[n-1] == "." {
			return fmt.Errorf("%q is not a plain name of an attribute; write customer[\"…\"]", push.Truncate(s, 60))
		}
		if l == "" {
			return fmt.Errorf("%q cannot be read", push.Truncate(s, 60))
		}

		x.rest = append(x.rest, l)
		s = strings.TrimLeft(s[len(l):], " \t\r\n")
	}
	return nil
}

// peek returns the next lexeme, "" at the end.
func (x *expression) peek() string {
	if len(x.rest) == 0 {
		return ""
	}
	return x.rest[0]
}

// next returns the next lexeme, "" at the end, and moves behind it.
func (x *expression) next() string {
	l := x.peek()
	if l != "" {
		x.rest = x.rest[1:]
	}
	return l
}

func (x *expression) parseOutput() error {
	if err := x.splitLexemes(); err != nil {
		return err
	}
	if err := x.parseOperand(); err != nil {
		return err
	}

	for x.peek() == "|" {
		x.next()
		if err := x.parseFilter(); err != nil {
			return err
		}
	}
	return x.parseEnd()
}

func (x *expression) parseEnd() error {
	if l := x.peek(); l != "" {
		return fmt.Errorf("%q does not belong there", push.Truncate(l, 60))
	}
	return nil
}

// parseFilter parses the name of a filter and its arguments.
func (x *expression) parseFilter() error {
	called := x.next()
	f, ok := filters[called]
	if !ok {
		return fmt.Errorf("there is no filter %q; there are %s", push.Truncate(called, 60), strings.Join(slices.Sorted(maps.Keys(filters)), ", "))
	}
	if x.filters++; x.filters == MaxFilters+1 {
		return fmt.Errorf("the templates use more than %d filters", MaxFilters)
	}

	n := 0
	if x.peek() == ":" {
		for x.next(); ; x.next() {
			if err := x.parseOperand(); err != nil {
				return err
			}
			if n++; x.peek() != "," {
				break
			}
		}
	}
	if n < f.least || n > f.most {
		return fmt.Errorf("filter %s is given %d values; it takes %s", called, n, f.describeArgs())
	}

	return nil
}

func (x *expression) parseCondition() error {
	if err := x.splitLexemes(); err != nil {
		return err
	}

	for {
		if err := x.parseComparison(); err != nil {
			return err
		}
		if l := x.peek(); l != "and" && l != "or" {
			return x.parseEnd()
		}
		x.next()
	}
}

func (x *expression) parseComparison() error {
	if err := x.parseOperand(); err != nil {
		return err
	}
	switch x.peek() {
	case "==", "!=", "<", ">", "<=", ">=", "contains":
		x.next()
		return x.parseOperand()
	}
	return nil
}

func (x *expression) parseOperand() error {
	switch l := x.next(); {
	case l == "":
		return errors.New("a value is missing")
	case l[0] == '"' || l[0] == '\'', l == "true", l == "false", l == "nil", number.MatchString(l):
		return nil
	case l == "customer":
		return x.parseMember(l, "an attribute", x.useAttribute)
	case l == "values" && x.values != nil:
		return x.parseMember(l, "a value", x.useValue)
	case name.MatchString(l):
		return fmt.Errorf("%q is not known: there is customer.id and customer.<attribute>", push.Truncate(l, 60))
	default:
		return fmt.Errorf("%q does not belong there", push.Truncate(l, 60))
	}
}

// parseMember reads the name behind customer or values (of), and passes it to use. kind
// is the noun for the name in errors.
func (x *expression) parseMember(of, kind string, use func(key string) error) error {
	key := ""
	switch x.next() {
	case ".":
		if key = x.next(); !name.MatchString(key) {
			return fmt.Errorf("%q is not a plain name of %s; write %s[\"…\"] for names with other characters", push.Truncate(key, 60), kind, of)
		}
	case "[":
		quoted := x.next()
		if len(quoted) < 3 || quoted[0] != '"' && quoted[0] != '\'' || x.next() != "]" {
			return fmt.Errorf(`%s is written %s.name or %s["name"]`, kind, of, of)
		}
		key = quoted[1 : len(quoted)-1]
	default:
		return fmt.Errorf("%s is not a single value: name %s, as in %s.name", of, kind, of)
	}
	if l := x.peek(); l == "." || l == "[" {
		return fmt.Errorf("%s.%s is a single value and has no members", of, push.Truncate(key, 60))
	}

	return use(key)
}

// useAttribute records that the templates use an attribute. A name between double
// underscores cannot be one, because Firestore reserves such names.
func (x *expression) useAttribute(key string) error {
	if key == "id" || x.names[key] {
		return nil
	}
	if len(key) > push.MaxName || strings.HasPrefix(key, "__") && strings.HasSuffix(key, "__") {
		return fmt.Errorf("%q is not a name that an attribute can have", push.Truncate(key, 60))
	}
	if len(x.names) == MaxNames {
		return fmt.Errorf("the templates use more than %d attributes", MaxNames)
	}

	x.names[key] = true
	return nil
}

// useValue records that the templates use a value of a message to one customer.
func (x *expression) useValue(key string) error {
	if x.values[key] {
		return nil
	}
	if len(key) > push.MaxName || strings.HasPrefix(key, "__") && strings.HasSuffix(key, "__") {
		return fmt.Errorf("%q is not a name that a value can have", push.Truncate(key, 60))
	}
	if len(x.values) == push.MaxValues {
		return fmt.Errorf("the templates use more than %d values", push.MaxValues)
	}

	x.values[key] = true
	return nil
}
