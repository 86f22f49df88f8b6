package fcm

import (
	"regexp"
	"strings"
)

// maxConditionTopics is how many topics a condition may name.
const maxConditionTopics = 5

var conditionPart = regexp.MustCompile(`^(?:'([a-zA-Z0-9\-_.~%]+)'\s+in\s+topics\b|&&|\|\||[()!])`)

// validCondition reports whether a condition is one: topics as 'NAME' in
// topics, joined by && and ||, with ! and brackets.
func validCondition(text string) bool {
	c := condition{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		found := conditionPart.FindString(text)
		if found == "" {
			return false
		}
		text = text[len(found):]
		c.parts = append(c.parts, found)
	}
	return c.either() && len(c.parts) == 0 && c.topics <= maxConditionTopics
}

// condition is what is left to read of one.
type condition struct {
	parts  []string
	topics int
	depth  int
}

func (c *condition) take(part string) bool {
	if len(c.parts) == 0 || c.parts[0] != part {
		return false
	}
	c.parts = c.parts[1:]
	return true
}

func (c *condition) either() bool {
	for {
		if !c.both() {
			return false
		}
		if !c.take("||") {
			return true
		}
	}
}

func (c *condition) both() bool {
	for {
		if !c.one() {
			return false
		}
		if !c.take("&&") {
			return true
		}
	}
}

func (c *condition) one() bool {
	if c.depth++; c.depth > maxDepth {
		return false
	}
	defer func() { c.depth-- }()
	switch {
	case c.take("!"):
		return c.one()
	case c.take("("):
		return c.either() && c.take(")")
	case len(c.parts) > 0 && c.parts[0][0] == '\'':
		c.parts = c.parts[1:]
		c.topics++
		return true
	}

	return false
}
