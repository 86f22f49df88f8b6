package fcm

import (
	"regexp"
	"strings"
)

// maxConditionTopics is the largest number of topics in a condition.
const maxConditionTopics = 5

var conditionPart = regexp.MustCompile(`^(?:'([a-zA-Z0-9\-_.~%]+)'\s+in\s+topics\b|&&|\|\||[()!])`)

// validCondition reports whether a text is a valid condition. Each operand has the form
// "'NAME' in topics". && and || join operands, ! negates one, and brackets group them.
func validCondition(text string) bool {
	c := conditionParser{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		found := conditionPart.FindString(text)
		if found == "" {
			return false
		}
		text = text[len(found):]
		c.parts = append(c.parts, found)
	}
	return c.parseOr() && len(c.parts) == 0 && c.topicCount <= maxConditionTopics
}

// A conditionParser holds the parts of a condition that are not parsed yet.
type conditionParser struct {
	parts      []string
	topicCount int
	depth      int // how deeply the current operand is nested in brackets and negations
}

// takePart removes the next part if it equals part, and reports whether it did.
func (c *conditionParser) takePart(part string) bool {
	if len(c.parts) == 0 || c.parts[0] != part {
		return false
	}
	c.parts = c.parts[1:]
	return true
}

// parseOr parses operands that are joined by ||.
func (c *conditionParser) parseOr() bool {
	for {
		if !c.parseAnd() {
			return false
		}
		if !c.takePart("||") {
			return true
		}
	}
}

// parseAnd parses operands that are joined by &&.
func (c *conditionParser) parseAnd() bool {
	for {
		if !c.parseOperand() {
			return false
		}
		if !c.takePart("&&") {
			return true
		}
	}
}

// parseOperand parses a topic, a negation or a condition in brackets.
func (c *conditionParser) parseOperand() bool {
	if c.depth++; c.depth > maxDepth {
		return false
	}
	defer func() { c.depth-- }()
	switch {
	case c.takePart("!"):
		return c.parseOperand()
	case c.takePart("("):
		return c.parseOr() && c.takePart(")")
	case len(c.parts) > 0 && c.parts[0][0] == '\'':
		c.parts = c.parts[1:]
		c.topicCount++
		return true
	}

	return false
}
